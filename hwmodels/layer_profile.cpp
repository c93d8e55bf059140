#include "hwmodels/layer_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "hwmodels/calibrated_terms.h"
#include "hwmodels/json_fields.h"
#include "sim/base/error.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

/// Layers of a dense decoder, and how often each runs in a transformer layer (0: once in a step).
struct KnownLayer {
  std::string_view name;
  std::int64_t per_layer;
};
constexpr std::array kDense = {
    KnownLayer{"embedding", 0}, KnownLayer{"final_layernorm", 0}, KnownLayer{"layernorm", 2},
    KnownLayer{"qkv_proj", 1},  KnownLayer{"qk_norm", 1},         KnownLayer{"rotary_emb", 1},
    KnownLayer{"o_proj", 1},    KnownLayer{"gate_up_proj", 1},    KnownLayer{"act_fn", 1},
    KnownLayer{"down_proj", 1},
};
constexpr std::array kPerSequence = {KnownLayer{"lm_head", 0}, KnownLayer{"sampler", 0}};

std::vector<std::string> cells_of(std::string_view text) {
  std::vector<std::string> cells;
  while (true) {
    const std::size_t comma = text.find(',');
    cells.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return cells;
    text.remove_prefix(comma + 1);
  }
}

template <std::size_t N>
const KnownLayer* find_layer(const std::array<KnownLayer, N>& known, std::string_view name) {
  for (const KnownLayer& layer : known) {
    if (layer.name == name) return &layer;
  }
  return nullptr;
}

template <std::size_t N>
std::vector<std::string> names_of(const std::array<KnownLayer, N>& known) {
  std::vector<std::string> names;
  for (const KnownLayer& layer : known) names.emplace_back(layer.name);
  return names;
}

/// The piece of `at` in ascending points, and how far along it (beyond 1 past the last).
struct Place {
  std::size_t index = 0;
  double weight = 0;
};

Place place_in(const std::vector<double>& points, double at) {
  if (points.size() == 1 || at <= points.front()) return {};
  const auto next =
      static_cast<std::size_t>(std::upper_bound(points.begin(), points.end(), at) - points.begin());
  const std::size_t index = std::min(next, points.size() - 1) - 1;
  return {index, (at - points[index]) / (points[index + 1] - points[index])};
}

std::string join(const std::vector<double>& values, const char* format) {
  std::string text;
  for (const double value : values)
    text += (text.empty() ? "" : ", ") + fmt::format(fmt::runtime(format), value);
  return text;
}

}  // namespace

double ProfileCurve::at(double count) const {
  const Place place = place_in(rows, count);
  if (place.weight == 0) return us[place.index];
  return us[place.index] + place.weight * (us[place.index + 1] - us[place.index]);
}

double ProfileGrid::at(double x_at, double y_at) const {
  const double x_in = std::min(x_at, x.back()), y_in = std::min(y_at, y.back());
  const Place px = place_in(x, x_in), py = place_in(y, y_in);
  const auto value = [&](std::size_t row) {
    const std::size_t at = row * x.size() + px.index;
    return px.weight == 0 ? us[at] : us[at] + px.weight * (us[at + 1] - us[at]);
  };
  const double low = value(py.index);
  const double inside = py.weight == 0 ? low : low + py.weight * (value(py.index + 1) - low);
  return inside * std::max(x_at / x.back(), 1.0) * std::max(y_at / y.back(), 1.0);
}

LayerTables::LayerTables(std::string model, std::int64_t tensor_parallel_size) {
  profile_.model = std::move(model);
  profile_.tensor_parallel_size = tensor_parallel_size;
}

void LayerTables::fail(const std::string& what) const {
  throw InputError(fmt::format("{}:{}:1: {}", name_, line_, what), ExitCode::bad_data);
}

void LayerTables::begin(const std::string& name, std::string_view table, std::string_view header) {
  static const std::map<std::string_view, std::string_view> headers = {
      {"dense", "layer,tokens,time_us"},
      {"per_sequence", "layer,sequences,time_us"},
      {"attention", "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us"},
      {"skew", "regime,n,nb,ratio,skew,pc,kp,kvs,kv_big,kv_mean,t_mean_us,t_max_us,t_skew_us,alpha"}};
  name_ = name;
  table_ = table;
  line_ = 1;
  const std::string_view expected = headers.at(table);
  cells_ = static_cast<std::size_t>(std::count(expected.begin(), expected.end(), ',')) + 1;
  if (header != expected)
    fail(fmt::format("expected the header {}, found {}", expected, kvcast::quoted(header)));
}

void LayerTables::row(std::string_view text, std::int64_t line) {
  line_ = line;
  const std::vector<std::string> cells = cells_of(text);
  if (cells.size() != cells_) fail(fmt::format("expected {} cells, found {}", cells_, cells.size()));
  const auto number = [&](std::size_t at) {
    const std::optional<double> value = parse_real(cells[at]);
    if (!value || *value < 0 || *value > 1e12)
      fail(fmt::format("expected a number from 0 to 1e12, found {}", kvcast::quoted(cells[at])));
    return *value;
  };
  if (table_ == "attention") {
    attention_[{number(0), number(1), number(2), number(3)}] = number(4);
  } else if (table_ == "skew") {
    if (cells[0] != "pure" && cells[0] != "mixed")
      fail(fmt::format("the regime is pure or mixed, not {}", kvcast::quoted(cells[0])));
    const double equal = number(10);
    if (equal <= 0) fail("t_mean_us must be above 0");
    (cells[0] == "pure" ? decode_skew_ : mixed_skew_)[number(1)].push_back(number(12) / equal);
  } else {
    const bool dense = table_ == "dense";
    const KnownLayer* known = dense ? find_layer(kDense, cells[0]) : find_layer(kPerSequence, cells[0]);
    if (known == nullptr)
      fail(fmt::format("unknown layer {}{}", kvcast::quoted(cells[0]),
                       known_names(cells[0], dense ? names_of(kDense) : names_of(kPerSequence))));
    (dense ? dense_ : per_sequence_)[cells[0]][number(1)] = number(2);
  }
}

/// The largest rectangle of lines that every point is there of: x and y are kept where all pairs are known.
ProfileGrid LayerTables::grid(const std::map<std::pair<double, double>, double>& points,
                              const char* what) const {
  std::map<double, std::set<double>> rows;  // by y
  for (const auto& [at, us] : points) rows[at.second].insert(at.first);
  std::size_t widest = 0;
  for (const auto& [y, xs] : rows) widest = std::max(widest, xs.size());
  ProfileGrid grid;
  std::set<double> common;
  for (const auto& [y, xs] : rows) {
    if (xs.size() * 2 <= widest) continue;  // a line of few points would take the others' away
    std::set<double> both;
    if (grid.y.empty()) both = xs;
    std::set_intersection(common.begin(), common.end(), xs.begin(), xs.end(),
                          std::inserter(both, both.end()));
    common = both;
    grid.y.push_back(y);
  }
  grid.x.assign(common.begin(), common.end());
  if (grid.x.size() < 2 || grid.y.size() < 2)
    throw InputError(fmt::format("{}: the attention table has no grid of {}", name_, what),
                     ExitCode::bad_data);
  for (const double y : grid.y) {
    for (const double x : grid.x) grid.us.push_back(points.at({x, y}));
  }
  return grid;
}

namespace {

ProfileCurve medians(const std::map<double, std::vector<double>>& ratios) {
  ProfileCurve curve;
  for (const auto& [count, values] : ratios) {
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    curve.rows.push_back(count);
    curve.us.push_back((sorted[sorted.size() / 2] + sorted[(sorted.size() - 1) / 2]) / 2);
  }
  return curve;
}

}  // namespace

LayerProfile LayerTables::finish() {
  const auto add_layers = [&](const auto& tables, const auto& known, bool by_sampled) {
    for (const KnownLayer& layer : known) {
      const auto table = tables.find(std::string(layer.name));
      if (table == tables.end()) {
        if (layer.name == "qk_norm") continue;  // not every model has it
        throw InputError(fmt::format("{}: the profile has no {}", profile_.model, layer.name),
                         ExitCode::bad_data);
      }
      ProfiledLayer profiled{std::string(layer.name), by_sampled, layer.per_layer, {}};
      for (const auto& [rows, us] : table->second) {
        profiled.curve.rows.push_back(rows);
        profiled.curve.us.push_back(us);
      }
      profile_.layers.push_back(std::move(profiled));
    }
  };
  add_layers(dense_, kDense, false);
  add_layers(per_sequence_, kPerSequence, true);
  double smallest_chunk = 0;  // of steps with decoding sequences
  for (const auto& [at, us] : attention_) {
    if (at[0] > 0 && at[2] > 0 && (smallest_chunk == 0 || at[0] < smallest_chunk)) smallest_chunk = at[0];
  }
  const auto chunk_alone = attention_.find({smallest_chunk, 0, 0, 0});
  if (chunk_alone == attention_.end())
    throw InputError(fmt::format("{}: no time of the smallest chunk alone", name_), ExitCode::bad_data);
  std::map<std::pair<double, double>, double> decode, mixed, prefill;
  for (const auto& [at, us] : attention_) {
    if (at[0] == 0 && at[1] == 0 && at[2] > 0) decode[{at[2], at[3]}] = us;
    if (at[0] == smallest_chunk && at[1] == 0 && at[2] > 0)
      mixed[{at[2], at[3]}] = std::max(us - chunk_alone->second, 0.0);
    if (at[0] > 0 && at[2] == 0) prefill[{at[0], at[1]}] = us;
  }
  profile_.decode = grid(decode, "decode steps");
  profile_.mixed = grid(mixed, "decoding sequences beside a chunk");
  profile_.prefill = grid(prefill, "prompt chunks");
  profile_.decode_unequal = medians(decode_skew_);
  profile_.mixed_unequal = medians(mixed_skew_);
  return std::move(profile_);
}

std::string format_layer_profile(const LayerProfile& profile) {
  const std::string who = fmt::format("\"model\": {}, \"tensor_parallel_size\": {}",
                                      json_quoted(profile.model), profile.tensor_parallel_size);
  std::string text;
  for (const ProfiledLayer& layer : profile.layers) {
    text += fmt::format(
        "{{\"fit\": {{\"kernel\": \"layer\", {}, \"layer\": {}, \"by\": \"{}\", \"per_layer\": {}, \"rows\": "
        "[{}], "
        "\"us\": [{}]}}}}\n",
        who, json_quoted(layer.name), layer.by_sampled ? "sampled" : "tokens", layer.per_layer,
        join(layer.curve.rows, "{:.10g}"), join(layer.curve.us, "{:.5g}"));
  }
  for (const auto& [part, curve] :
       {std::pair<const char*, const ProfileCurve*>{"decode", &profile.decode_unequal},
        {"mixed", &profile.mixed_unequal}}) {
    if (curve->rows.empty()) continue;
    text += fmt::format(
        "{{\"fit\": {{\"kernel\": \"unequal_contexts\", {}, \"part\": \"{}\", \"rows\": [{}], \"ratio\": "
        "[{}]}}}}\n",
        who, part, join(curve->rows, "{:.10g}"), join(curve->us, "{:.4g}"));
  }
  for (const auto& [part, grid] : {std::pair<const char*, const ProfileGrid*>{"decode", &profile.decode},
                                   {"mixed", &profile.mixed},
                                   {"prefill", &profile.prefill}}) {
    text += fmt::format(
        "{{\"fit\": {{\"kernel\": \"attention_grid\", {}, \"part\": \"{}\", \"x\": [{}], \"y\": [{}], "
        "\"us\": "
        "[{}]}}}}\n",
        who, part, join(grid->x, "{:.10g}"), join(grid->y, "{:.10g}"), join(grid->us, "{:.5g}"));
  }
  return text;
}

namespace {

std::vector<double> ascending(JsonFields& fields, std::string_view key) {
  std::vector<double> values = fields.reals(key, 0);
  for (std::size_t i = 1; i < values.size(); ++i) {
    if (values[i - 1] >= values[i]) fields.fail(key, "must ascend");
  }
  if (values.empty()) fields.fail(key, "must not be empty");
  return values;
}

void read_layer(JsonFields& fields, LayerProfile& profile) {
  ProfiledLayer layer;
  layer.name = fields.text("layer");
  const std::string by = fields.text("by");
  if (by != "tokens" && by != "sampled") fields.fail("by", "is tokens or sampled");
  layer.by_sampled = by == "sampled";
  layer.per_layer = fields.integer("per_layer", 0, 1000);
  layer.curve.rows = ascending(fields, "rows");
  layer.curve.us = fields.reals("us", 0);
  if (layer.curve.us.size() != layer.curve.rows.size()) fields.fail("us", "needs a value for each of rows");
  profile.layers.push_back(std::move(layer));
}

void read_grid(JsonFields& fields, LayerProfile& profile) {
  const std::string part = fields.text("part");
  ProfileGrid* grid = part == "decode"    ? &profile.decode
                      : part == "mixed"   ? &profile.mixed
                      : part == "prefill" ? &profile.prefill
                                          : nullptr;
  if (grid == nullptr) fields.fail("part", "is decode, mixed or prefill");
  grid->x = ascending(fields, "x");
  grid->y = ascending(fields, "y");
  grid->us = fields.reals("us", 0);
  if (grid->us.size() != grid->x.size() * grid->y.size())
    fields.fail("us", "needs a value for each of x and y");
}

void read_unequal(JsonFields& fields, LayerProfile& profile) {
  const std::string part = fields.text("part");
  if (part != "decode" && part != "mixed") fields.fail("part", "is decode or mixed");
  ProfileCurve& curve = part == "decode" ? profile.decode_unequal : profile.mixed_unequal;
  curve.rows = ascending(fields, "rows");
  curve.us = fields.reals("ratio", 0.1, 10);
  if (curve.us.size() != curve.rows.size()) fields.fail("ratio", "needs a value for each of rows");
}

/// Where all layers of equal width run: what a profile adds up.
class LayerTerms {
 public:
  LayerTerms(const LayerProfile& profile, const ModelSpec& model)
      : profile_(std::make_shared<const LayerProfile>(profile)),
        layers_(static_cast<double>(model.layers.size())) {}

  [[nodiscard]] std::vector<KernelTerm> terms() const {
    std::vector<KernelTerm> result;
    for (std::size_t i = 0; i < profile_->layers.size(); ++i) {
      const ProfiledLayer& layer = profile_->layers[i];
      const double times = layer.per_layer == 0 ? 1 : layers_ * static_cast<double>(layer.per_layer);
      result.push_back(
          {layer.name, layer.by_sampled ? OpRows::sampled : OpRows::tokens,
           [profile = profile_, i, times](const TermPoint& point) {
             return KernelTime{times * (kGapUs + profile->layers[i].curve.at(point.rows)), kError};
           }});
    }
    result.push_back({"decode_attention", OpRows::decode_context,
                      attention(&LayerProfile::decode, &LayerProfile::decode_unequal)});
    result.push_back({"prefill_attention", OpRows::prefill_pairs,
                      [profile = profile_, layers = layers_](const TermPoint& point) {
                        const double one = profile->prefill.at(point.context, point.cached);
                        const double launch = profile->prefill.us.front();
                        const double work = std::max(one - launch, 0.0) * std::max(point.rows, 1.0);
                        return KernelTime{layers * (launch + work), kError};
                      }});
    return result;
  }

  [[nodiscard]] std::function<KernelTime(const TermPoint&)> attention(
      ProfileGrid LayerProfile::*grid, ProfileCurve LayerProfile::*unequal) const {
    return [profile = profile_, layers = layers_, grid, unequal](const TermPoint& point) {
      const ProfileCurve& ratio = (*profile).*unequal;
      const double longer =
          ratio.rows.empty() || point.rows < 2 ? 1 : ratio.at(std::min(point.rows, ratio.rows.back()));
      return KernelTime{layers * longer * ((*profile).*grid).at(point.rows, point.context), kError};
    };
  }

 private:
  // A profile times kernels from their first to their last instruction. From the end of one to the start of
  // the next passes about a microsecond, in a CUDA graph as behind a full launch queue (graph nodes on an
  // H100, our measurement).
  static constexpr double kGapUs = 1;
  static constexpr double kError =
      0.03;  // repeated rows of such tables differ by 1 to 2 %, and so do their sums' parts

  std::shared_ptr<const LayerProfile> profile_;
  double layers_;
};

}  // namespace

std::vector<LayerProfile> parse_layer_profiles(const CalibrationFile& file) {
  std::vector<LayerProfile> profiles;
  for (const JsonLine& line : file.fits) {
    JsonFields fields(line.value, file.name);
    const std::string kernel = fields.text("kernel");
    const std::string model = fields.text("model");
    const std::int64_t size = fields.integer("tensor_parallel_size", 1, 4096);
    auto at = std::find_if(profiles.begin(), profiles.end(), [&](const LayerProfile& profile) {
      return profile.model == model && profile.tensor_parallel_size == size;
    });
    if (at == profiles.end()) {
      profiles.emplace_back();
      at = profiles.end() - 1;
      at->model = model;
      at->tensor_parallel_size = size;
    }
    if (kernel == "layer") {
      read_layer(fields, *at);
    } else if (kernel == "attention_grid") {
      read_grid(fields, *at);
    } else if (kernel == "unequal_contexts") {
      read_unequal(fields, *at);
    } else {
      fields.fail("kernel",
                  fmt::format("unknown kernel \"{}\"{}", kernel,
                              known_names(kernel, {"layer", "attention_grid", "unequal_contexts"})));
    }
    fields.finish();
  }
  for (const LayerProfile& profile : profiles) {
    if (profile.layers.empty() || profile.decode.us.empty() || profile.mixed.us.empty() ||
        profile.prefill.us.empty())
      throw InputError(
          fmt::format("{}: the profile of {} at tensor-parallel size {} lacks its layers or a grid",
                      file.name, profile.model, profile.tensor_parallel_size),
          ExitCode::bad_data);
  }
  return profiles;
}

const LayerProfile& pick_layer_profile(const std::vector<LayerProfile>& profiles,
                                       std::int64_t tensor_parallel_size, const std::string& where) {
  std::string known;
  for (const LayerProfile& profile : profiles) {
    if (profile.tensor_parallel_size == tensor_parallel_size) return profile;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", profile.tensor_parallel_size);
  }
  throw InputError(fmt::format("{}: the calibration has no profile at tensor-parallel size {} (it has: {})",
                               where, tensor_parallel_size, known));
}

std::unique_ptr<CalibratedTimer> make_layer_timer(const LayerProfile& profile, const ModelSpec& model,
                                                  const GpuSpec& gpu, const CalibratedOptions& options) {
  const LayerTerms layers(profile, model);
  KernelTerms terms;
  terms.terms = layers.terms();
  for (KernelTerm& link : make_link_terms(model, gpu, options)) terms.terms.push_back(std::move(link));
  terms.mixed_decode = layers.attention(&LayerProfile::mixed, &LayerProfile::mixed_unequal);
  return make_term_timer(std::move(terms), model, gpu, options);
}

}  // namespace kvcast
