#include <nlohmann/json.hpp>

#include "reports/regression.h"

namespace kvcast {
namespace {

using Json = nlohmann::ordered_json;

Json kernel(const KernelChange& change) {
  Json json = {{"name", change.name},
               {"verdict", to_string(change.verdict)},
               {"quantity", to_string(change.quantity)},
               {"base_ns", change.base_ns},
               {"new_ns", change.new_ns},
               {"change", change.change},
               {"change_interval_95", {change.low, change.high}},
               {"threshold", change.threshold},
               {"p", change.p},
               {"n_base", change.n_base},
               {"n_new", change.n_new},
               {"unit", change.blocks ? "block" : "sample"}};
  if (!change.remark.empty()) json["remark"] = change.remark;
  if (change.efficiency) json["efficiency"] = *change.efficiency;
  if (change.efficiency_min) {
    json["efficiency_min"] = *change.efficiency_min;
    json["below_efficiency"] = change.below_efficiency();
  }
  return json;
}

Json kernels(const std::vector<KernelChange>& changes) {
  Json list = Json::array();
  for (const KernelChange& change : changes) list.push_back(kernel(change));
  return list;
}

Json side(const std::string& file, const std::string& device, const std::string& hash) {
  Json json = {{"file", file}, {"device", device}};
  if (!hash.empty()) json["hash"] = hash;
  return json;
}

Json shift(const DeviceShift& device) {
  return {{"use", to_string(device.use)},
          {"sentinels_change", device.sentinels},
          {"sentinels", device.sentinel_count},
          {"typical_change", device.typical},
          {"kernels", device.kernel_count}};
}

}  // namespace

std::string to_json(const Regression& regression) {
  Json json = {{"schema_version", 1},
               {"status", regression.fails() ? "regression" : "ok"},
               {"version", regression.version},
               {"seed", regression.seed},
               {"base", side(regression.base_name, regression.base_device, regression.base_hash)},
               {"new", side(regression.new_name, regression.new_device, regression.new_hash)},
               {"same_device", regression.same_device}};
  Json counts;
  for (const TimingVerdict verdict : {TimingVerdict::slower, TimingVerdict::suspect, TimingVerdict::unchanged,
                                      TimingVerdict::faster, TimingVerdict::undecided})
    counts[std::string(to_string(verdict))] = regression.count(verdict);
  json["counts"] = std::move(counts);
  json["device"] = {{"ns", shift(regression.shift[0])}, {"cycles", shift(regression.shift[1])}};
  json["kernels"] = kernels(regression.kernels);
  json["sentinels"] = kernels(regression.sentinels);
  json["missing"] = regression.missing;
  json["added"] = regression.added;
  json["warnings"] = regression.warnings;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace kvcast
