#include "hwmodels/kernel_tables.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/error.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> cells;
  while (true) {
    const std::size_t comma = text.find(',');
    cells.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return cells;
    text.remove_prefix(comma + 1);
  }
}

void add_once(std::vector<std::string>& list, const std::string& value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

}  // namespace

struct KernelTables::LayoutRule {
  std::string_view name;
  Layout layout;
  std::string_view mark;  // a column that only this layout has
  std::vector<std::string_view> needs;
};

const std::vector<KernelTables::LayoutRule>& KernelTables::layouts() {
  static const std::vector<LayoutRule> rules = {
      {"gemm", Layout::gemm, "gemm_dtype", {"m", "n", "k"}},
      {"context_attention",
       Layout::prefill_attention,
       "attn_dtype",
       {"batch_size", "isl", "num_heads", "num_key_value_heads", "head_dim", "kv_cache_dtype", "step",
        "window_size"}},
      {"mla_module",
       Layout::mla_prefill,
       "mla_dtype",
       {"kv_cache_dtype", "gemm_type", "num_heads", "batch_size", "isl", "tp_size", "step"}},
      {"moe",
       Layout::moe,
       "moe_dtype",
       {"num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size",
        "distribution"}},
      {"gdn",
       Layout::gdn,
       "d_conv",
       {"phase", "batch_size", "seq_len", "num_k_heads", "head_k_dim", "num_v_heads", "head_v_dim"}},
      {"custom_allreduce",
       Layout::custom_collective,
       "allreduce_dtype",
       {"num_gpus", "message_size", "backend"}},
      {"nccl", Layout::collective, "nccl_dtype", {"num_gpus", "message_size"}},
  };
  return rules;
}

void KernelTables::fail(std::string_view column, const std::string& what) const {
  if (!has_lines_)
    throw InputError(fmt::format("{}: row {}: {}: {}", table_, line_, column, what), ExitCode::bad_data);
  const auto at = column_at_.find(column);
  std::size_t place = 1;
  if (at != column_at_.end() && at->second < cells_.size())
    place = static_cast<std::size_t>(cells_[at->second].data() - text_.data()) + 1;
  throw InputError(fmt::format("{}:{}:{}: {}: {}", table_, line_, place, column, what), ExitCode::bad_data);
}

void KernelTables::begin(const std::string& name, std::string_view header) {
  const std::vector<std::string_view> cells = split(header);
  begin_columns(name + ":1:1", {cells.begin(), cells.end()});
  table_ = name;
  has_lines_ = true;
}

void KernelTables::begin_columns(const std::string& name, const std::vector<std::string>& columns) {
  table_ = name;
  has_lines_ = false;
  line_ = 1;
  columns_.clear();
  column_at_.clear();
  cells_.clear();
  for (const std::string& column : columns) {
    if (!column_at_.emplace(column, columns_.size()).second)
      throw InputError(fmt::format("{}: the column {} appears twice", name, quoted(column)),
                       ExitCode::bad_data);
    columns_.push_back(column);
  }
  std::string known;
  for (const LayoutRule& rule : layouts()) {
    known += (known.empty() ? "" : ", ") + std::string(rule.name);
    if (column_at_.count(rule.mark) == 0) continue;
    layout_ = rule.layout;
    std::vector<std::string_view> needs = {"framework", "version",       "device",
                                           "op_name",   "kernel_source", "latency"};
    needs.insert(needs.end(), rule.needs.begin(), rule.needs.end());
    for (const std::string_view column : needs) {
      if (column_at_.count(column) == 0)
        throw InputError(fmt::format("{}: a {} table needs the column {}", name, rule.name, column),
                         ExitCode::bad_data);
    }
    return;
  }
  throw InputError(
      fmt::format("{}: the header is that of no known table of kernel timings (known: {})", name, known),
      ExitCode::bad_data);
}

std::string_view KernelTables::cell(std::string_view column) const {
  return cells_[column_at_.find(column)->second];
}

double KernelTables::number(std::string_view column, double min) const {
  const std::optional<double> value = parse_real(cell(column));
  if (!value) fail(column, fmt::format("expected a number, found {}", quoted(cell(column))));
  if (*value < min || *value > 1e12) fail(column, fmt::format("{} is not between {} and 1e12", *value, min));
  return *value;
}

double KernelTables::dtype_bytes(std::string_view column) const {
  static const std::vector<std::pair<std::string, double>> known = {
      {"bfloat16", 2}, {"float16", 2}, {"half", 2},      {"fp8", 1},           {"fp8_block", 1},
      {"int8", 1},     {"int8_wo", 1}, {"int4_wo", 0.5}, {"w4a16_mxfp4", 0.5}, {"w4a8_mxfp4_mxfp8", 0.5},
      {"nvfp4", 0.5}};
  std::vector<std::string> names;
  for (const auto& [name, bytes] : known) {
    if (name == cell(column)) return bytes;
    names.push_back(name);
  }
  fail(column, fmt::format("unknown dtype {}{}", quoted(cell(column)),
                           known_names(std::string(cell(column)), names)));
}

void KernelTables::add(std::string_view form, std::vector<double> constants,
                       std::map<std::string, std::string> labels, std::initializer_list<double> at,
                       double us) {
  std::string name(form);
  for (const double constant : constants) name += fmt::format(" {}", constant);
  for (const auto& [key, value] : labels) name += fmt::format(" {}={}", key, value);
  const auto [place, is_new] = class_at_.emplace(std::move(name), samples_.size());
  if (is_new) samples_.push_back({{find_kernel_form(form), std::move(constants), std::move(labels)}, {}});
  KernelSample sample;
  std::copy(at.begin(), at.end(), sample.at.begin());
  sample.us = us;
  samples_[place->second].rows.push_back(sample);
}

void KernelTables::add_attention(std::string_view form, double length, double us) {
  const double window = number("window_size", 0);
  // A window that is not shorter than the context changes nothing: the engine runs the full kernel.
  const double bounded = window > 0 && length <= window ? 0 : window;
  add(form, {number("head_dim", 1), bounded, dtype_bytes("kv_cache_dtype"), sms_},
      {{"source", std::string(cell("kernel_source"))}},
      {number("batch_size", 1), length, number("num_heads", 1), number("num_key_value_heads", 1)}, us);
}

void KernelTables::add_mla(std::string_view form, double length, double us) {
  const double width = dtype_bytes("gemm_type");
  add(form, {dtype_bytes("kv_cache_dtype"), width},
      {{"source", std::string(cell("kernel_source"))}, {"gemm", std::string(cell("gemm_type"))}},
      {number("batch_size", 1), length, number("num_heads", 1) / number("tp_size", 1)}, us);
}

void KernelTables::note_origin() {
  add_once(devices_, std::string(cell("device")));
  const std::string engine = lower(cell("framework"));
  // NCCL's tables name the framework under which they were made; NCCL itself is the same.
  if (layout_ != Layout::collective) add_once(engines_, engine + " " + std::string(cell("version")));
}

void KernelTables::row(std::string_view text, std::int64_t line) {
  text_ = text;
  line_ = line;
  cells_ = split(text);
  if (cells_.size() != columns_.size()) {
    const std::size_t found = cells_.size();
    cells_.clear();
    fail(columns_.front(), fmt::format("expected {} cells, found {}", columns_.size(), found));
  }
  take_row();
}

void KernelTables::row_cells(const std::vector<std::string_view>& cells, std::int64_t number) {
  line_ = number;
  cells_ = cells;
  take_row();
}

void KernelTables::take_row() {
  note_origin();
  const double us = 1e3 * number("latency", 1e-9);
  switch (layout_) {
    case Layout::gemm:
      add("gemm", {dtype_bytes("gemm_dtype")}, {{"dtype", std::string(cell("gemm_dtype"))}},
          {number("m", 1), number("n", 1), number("k", 1)}, us);
      return;
    case Layout::prefill_attention:
    case Layout::decode_attention:
      if (cell("op_name") == "generation_attention") {
        add_attention("decode_attention", number("isl", 0) + number("step", 0), us);
      } else {
        if (number("step", 0) > 0)
          fail("step", "a prompt with a cached part is not read yet; leave the row out");
        add_attention("prefill_attention", number("isl", 1), us);
      }
      return;
    case Layout::mla_prefill:
    case Layout::mla_decode:
      if (cell("op_name") == "mla_generation_module") {
        add_mla("mla_decode", number("step", 1), us);
      } else {
        if (number("step", 0) > 0)
          fail("step", "a prompt with a cached part is not read yet; leave the row out");
        add_mla("mla_prefill", number("isl", 1), us);
      }
      return;
    case Layout::moe:
      add("moe", {dtype_bytes("moe_dtype")},
          {{"source", std::string(cell("kernel_source"))},
           {"dtype", std::string(cell("moe_dtype"))},
           {"routing", std::string(cell("distribution"))}},
          {number("num_tokens", 1), number("hidden_size", 1),
           number("inter_size", 1) / number("moe_tp_size", 1), number("topk", 1), number("num_experts", 1),
           number("moe_ep_size", 1)},
          us);
      return;
    case Layout::gdn:
      if (cell("head_k_dim") != cell("head_v_dim"))
        fail("head_v_dim", "only heads of equal key and value width are known");
      add("gdn", {number("head_k_dim", 1)}, {{"source", std::string(cell("kernel_source"))}},
          {number("batch_size", 1), number("seq_len", 1), number("num_k_heads", 1), number("num_v_heads", 1)},
          us);
      return;
    case Layout::custom_collective:
    case Layout::collective: {
      const bool custom = layout_ == Layout::custom_collective;
      const std::string_view dtype = custom ? "allreduce_dtype" : "nccl_dtype";
      // message_size counts elements: rows of int8 take half the time of rows of half precision.
      add("collective", {number("num_gpus", 2)},
          {{"operation", std::string(cell("op_name"))},
           {"backend", custom ? std::string(cell("backend")) : "nccl"},
           {"dtype", std::string(cell(dtype))}},
          {number("message_size", 1) * dtype_bytes(dtype)}, us);
      return;
    }
  }
}

}  // namespace kvcast
