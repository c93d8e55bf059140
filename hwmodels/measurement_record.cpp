#include "hwmodels/measurement_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hwmodels/json_fields.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr double kTimeMin = 1e-3;          // ns or cycles
constexpr double kTimeMax = 1e15;          // 11 days of ns
constexpr double kRoundingAllowed = 1e-6;  // of neighbouring quantiles, relative
constexpr std::int64_t kSamplesMax = 100'000'000;

/// Present and not null: writers may say null for what a device does not tell.
bool given(JsonFields& fields, std::string_view key) {
  const JsonValue* value = fields.object().find(key);
  if (value == nullptr) return false;
  if (value->type != JsonValue::Type::null) return true;
  fields.ignore(key);
  return false;
}

std::optional<double> quantile_of(JsonFields& fields, std::string_view key) {
  if (!given(fields, key)) return std::nullopt;
  return fields.real(key, kTimeMin, kTimeMax);
}

SampleSummary read_summary(JsonFields fields) {
  SampleSummary summary;
  summary.n = fields.integer("n", 1, kSamplesMax);
  summary.median = fields.real("median", kTimeMin, kTimeMax);
  summary.min = quantile_of(fields, "min");
  summary.p5 = quantile_of(fields, "p5");
  summary.q1 = quantile_of(fields, "q1");
  summary.q3 = quantile_of(fields, "q3");
  summary.p95 = quantile_of(fields, "p95");
  if (given(fields, "mad")) summary.mad = fields.real("mad", 0, kTimeMax);
  const std::pair<const char*, std::optional<double>> ascending[] = {
      {"min", summary.min},       {"p5", summary.p5}, {"q1", summary.q1},
      {"median", summary.median}, {"q3", summary.q3}, {"p95", summary.p95}};
  double last = 0;
  for (const auto& [key, value] : ascending) {
    if (!value) continue;
    if (*value < last * (1 - kRoundingAllowed))
      fields.fail(key, "below the quantile before it (order: min, p5, q1, median, q3, p95)");
    last = *value;
  }
  return summary;  // more statistics (mean, stddev) are as welcome as more keys of the record
}

MeasurementDevice read_device(JsonFields fields) {
  MeasurementDevice device;
  device.name = fields.text("name");
  if (device.name.empty()) fields.fail("name", "a device needs a name");
  if (given(fields, "uuid")) device.uuid = fields.text("uuid");
  device.raw = fields.object();
  return device;
}

MeasurementDevice named_device(const std::string& name) {
  MeasurementDevice device;
  device.name = name;
  device.raw.type = JsonValue::Type::object;
  JsonValue text;
  text.type = JsonValue::Type::string;
  text.text = name;
  device.raw.members.emplace_back("name", std::move(text));
  return device;
}

/// true, or the sentinel's name; false or null for all other records.
bool read_sentinel(JsonFields& fields) {
  if (!given(fields, "sentinel")) return false;
  if (fields.value("sentinel").type == JsonValue::Type::string) return !fields.text("sentinel").empty();
  return fields.boolean_or("sentinel", false);
}

bool read_imported(JsonFields& fields) {
  const std::string source = fields.text_or("source", "measured");
  if (source != "measured" && source != "imported") {
    fields.fail("source", fmt::format("unknown source \"{}\"{}", source,
                                      known_names(source, {"measured", "imported"})));
  }
  return source == "imported";
}

void read_times(JsonFields& fields, MeasurementRecord& record) {
  if (given(fields, "samples_ns")) record.samples_ns = fields.reals("samples_ns", kTimeMin, kTimeMax);
  if (given(fields, "samples_cycles"))
    record.samples_cycles = fields.reals("samples_cycles", kTimeMin, kTimeMax);
  if (!record.samples_cycles.empty() && record.samples_cycles.size() != record.samples_ns.size())
    fields.fail("samples_cycles", fmt::format("{} samples beside {} of samples_ns",
                                              record.samples_cycles.size(), record.samples_ns.size()));
  if (given(fields, "ns")) {
    record.ns = read_summary(fields.child("ns"));
  } else {
    if (record.samples_ns.empty()) fields.fail("ns", "a record needs ns: {n, median, ...} or samples_ns");
    record.ns = summarize(record.samples_ns);
  }
  if (given(fields, "cycles")) {
    record.cycles = read_summary(fields.child("cycles"));
  } else if (!record.samples_cycles.empty()) {
    record.cycles = summarize(record.samples_cycles);
  }
}

void append_json(std::string& out, const JsonValue& value);

void append_object(std::string& out, const std::vector<std::pair<std::string, JsonValue>>& members) {
  out += '{';
  for (const auto& member : members) {
    if (&member != &members.front()) out += ", ";
    out += json_quoted(member.first) + ": ";
    append_json(out, member.second);
  }
  out += '}';
}

std::string number_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return fmt::format("{}", value);
}

void append_json(std::string& out, const JsonValue& value) {
  switch (value.type) {
    case JsonValue::Type::null:
      out += "null";
      return;
    case JsonValue::Type::boolean:
      out += value.boolean ? "true" : "false";
      return;
    case JsonValue::Type::integer:
      out += std::to_string(value.integer);
      return;
    case JsonValue::Type::real: {
      const std::string text = number_text(value.real);
      // A real number stays one when it is read again, and -0.0 keeps its sign.
      out += text.find_first_of(".eIN") == std::string::npos ? text + ".0" : text;
      return;
    }
    case JsonValue::Type::string:
      out += json_quoted(value.text);
      return;
    case JsonValue::Type::array:
      out += '[';
      for (const JsonValue& item : value.items) {
        if (&item != &value.items.front()) out += ", ";
        append_json(out, item);
      }
      out += ']';
      return;
    case JsonValue::Type::object:
      append_object(out, value.members);
      return;
  }
}

std::string summary_text(const SampleSummary& summary) {
  std::string out = fmt::format("{{\"n\": {}", summary.n);
  const auto put = [&out](const char* key, const std::optional<double>& value) {
    if (value) out += fmt::format(", \"{}\": {}", key, number_text(*value));
  };
  put("min", summary.min);
  put("p5", summary.p5);
  put("q1", summary.q1);
  put("median", summary.median);
  put("q3", summary.q3);
  put("p95", summary.p95);
  put("mad", summary.mad);
  return out + "}";
}

std::string samples_text(const std::vector<double>& samples) {
  std::string out = "[";
  for (const double sample : samples) out += (out.size() > 1 ? ", " : "") + number_text(sample);
  return out + "]";
}

/// Linear between order statistics, as numpy's default.
double quantile(const std::vector<double>& sorted, double fraction) {
  const double at = fraction * static_cast<double>(sorted.size() - 1);
  const std::size_t below = std::min(static_cast<std::size_t>(at), sorted.size() - 1);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  const double part = at - static_cast<double>(below);
  return sorted[below] + part * (sorted[above] - sorted[below]);
}

/// The name of a calibration's device, or nothing where the header does not say.
std::string header_device(const JsonValue& header) {
  const JsonValue* device = header.find("device");
  const JsonValue* name = device == nullptr ? nullptr : device->find("name");
  return name != nullptr && name->type == JsonValue::Type::string ? name->text : std::string();
}

}  // namespace

SampleSummary summarize(std::vector<double> samples) {
  KVCAST_CHECK(!samples.empty());
  std::sort(samples.begin(), samples.end());
  SampleSummary summary;
  summary.n = static_cast<std::int64_t>(samples.size());
  summary.min = samples.front();
  summary.p5 = quantile(samples, 0.05);
  summary.q1 = quantile(samples, 0.25);
  summary.median = quantile(samples, 0.5);
  summary.q3 = quantile(samples, 0.75);
  summary.p95 = quantile(samples, 0.95);
  for (double& sample : samples) sample = std::abs(sample - summary.median);
  std::sort(samples.begin(), samples.end());
  summary.mad = quantile(samples, 0.5);
  return summary;
}

std::string MeasurementRecord::shape_text() const {
  std::vector<const std::pair<std::string, JsonValue>*> members;
  members.reserve(shape.members.size());
  for (const auto& member : shape.members) members.push_back(&member);
  std::sort(members.begin(), members.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
  std::string text;
  for (const auto* member : members) {
    if (!text.empty()) text += ' ';
    text += member->first + "=";
    if (member->second.type == JsonValue::Type::string) {
      text += member->second.text;
    } else {
      append_json(text, member->second);
    }
  }
  return text;
}

std::string MeasurementRecord::key() const {
  std::string text = op;
  for (const std::string& part : {kernel, shape_text(), dtype}) {
    if (!part.empty()) text += " " + part;
  }
  return text;
}

MeasurementRecord read_measurement_record(const JsonValue& object, const std::string& name,
                                          const std::string& device_default) {
  JsonFields fields(object, name);
  MeasurementRecord record;
  record.line = object.line;
  record.op = fields.text("op");
  if (record.op.empty()) fields.fail("op", "a record needs the name of its operation");
  if (given(fields, "kernel")) record.kernel = fields.text("kernel");
  record.shape = fields.child("shape").object();
  if (given(fields, "dtype")) record.dtype = fields.text("dtype");
  record.sentinel = read_sentinel(fields);
  const bool has_device = given(fields, "device") || device_default.empty();
  record.device = has_device ? read_device(fields.child("device")) : named_device(device_default);
  record.imported = read_imported(fields);
  read_times(fields, record);
  if (given(fields, "bytes")) record.bytes = fields.real("bytes", 0);
  if (given(fields, "flop")) record.flop = fields.real("flop", 0);
  constexpr std::string_view kKnown[] = {
      "op", "kernel", "shape",      "dtype",          "sentinel", "device", "source",
      "ns", "cycles", "samples_ns", "samples_cycles", "bytes",    "flop"};
  for (const auto& member : object.members) {
    if (std::find(std::begin(kKnown), std::end(kKnown), member.first) == std::end(kKnown))
      record.more.push_back(member);
  }
  return record;
}

std::vector<MeasurementRecord> parse_measurement_records(std::string_view text, const std::string& name) {
  std::vector<MeasurementRecord> records;
  std::string device;
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const JsonValue value = parse_json(line, name, number);
    const std::string key = value.members.size() == 1 ? value.members.front().first : std::string();
    if (key == "record") {
      records.push_back(read_measurement_record(value.members.front().second, name, device));
    } else if (key == "calibration") {
      device = header_device(value.members.front().second);
    } else if (key != "fit") {
      throw InputError(
          fmt::format("{}:{}:{}: each line is one object with one key: record, or in a calibration also "
                      "calibration or fit",
                      name, value.line, value.column),
          ExitCode::bad_data);
    }
  }
  return records;
}

std::string format_measurement_record(const MeasurementRecord& record) {
  std::string out = "{\"record\": {\"op\": " + json_quoted(record.op);
  const auto put = [&out](std::string_view key, const std::string& json) {
    out += ", " + json_quoted(key) + ": " + json;
  };
  const auto json = [](const JsonValue& value) {
    std::string text;
    append_json(text, value);
    return text;
  };
  put("kernel", json_quoted(record.kernel));
  put("shape", json(record.shape));
  put("dtype", json_quoted(record.dtype));
  put("sentinel", record.sentinel ? "true" : "false");
  put("device", json(record.device.raw));
  put("source", record.imported ? "\"imported\"" : "\"measured\"");
  put("ns", summary_text(record.ns));
  if (record.cycles) put("cycles", summary_text(*record.cycles));
  if (!record.samples_ns.empty()) put("samples_ns", samples_text(record.samples_ns));
  if (!record.samples_cycles.empty()) put("samples_cycles", samples_text(record.samples_cycles));
  if (record.bytes > 0) put("bytes", number_text(record.bytes));
  if (record.flop > 0) put("flop", number_text(record.flop));
  for (const auto& [key, value] : record.more) put(key, json(value));
  return out + "}}";
}

}  // namespace kvcast
