// Which kinds of layers are sized to the byte against what: vLLM's own code, numbers worked out by hand from
// the config files, or nothing here. The comparisons are memory_kv_capacity's, memory_layout's and
// memory_models'; this case says what they cover, alone and in hybrids, and fails when that changes.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <map>
#include <set>
#include <vector>

#include "hwmodels/model_spec.h"
#include "tests/oracles/memory_rows.h"

namespace kvcast::test {
namespace {

std::string family_name(StateFamily family) {
  switch (family) {
    case StateFamily::mamba1:
      return "mamba1";
    case StateFamily::mamba2:
      return "mamba2";
    case StateFamily::gated_delta_net:
      return "gated_delta_net";
    case StateFamily::kimi_delta:
      return "kimi_delta";
    case StateFamily::linear_attention:
      return "linear_attention";
    case StateFamily::rwkv:
      return "rwkv";
  }
  return "";
}

/// What decides how a layer's cache is sized: its kind, and of a state the family.
std::string kind_of(const LayerSpec& layer) {
  const std::string kind(to_string(layer.kind));
  return layer.kind == LayerKind::recurrent ? kind + " " + family_name(layer.state.family) : kind;
}

std::set<std::string> every_kind() {
  std::set<std::string> kinds;
  for (const LayerKind kind : {LayerKind::full_attention, LayerKind::sliding_window, LayerKind::chunked_local,
                               LayerKind::mla, LayerKind::shared_kv, LayerKind::no_attention}) {
    kinds.insert(std::string(to_string(kind)));
  }
  for (const StateFamily family :
       {StateFamily::mamba1, StateFamily::mamba2, StateFamily::gated_delta_net, StateFamily::kimi_delta,
        StateFamily::linear_attention, StateFamily::rwkv}) {
    kinds.insert(std::string(to_string(LayerKind::recurrent)) + " " + family_name(family));
  }
  return kinds;
}

struct Cover {
  std::set<std::string> alone, hybrid;  // models
};
using Coverage = std::map<std::string, Cover>;

void note(const ModelSpec& model, const std::string& name, Coverage& coverage) {
  std::set<std::string> kinds;
  for (const LayerSpec& layer : model.layers) kinds.insert(kind_of(layer));
  for (const std::string& kind : kinds)
    (kinds.size() == 1 ? coverage[kind].alone : coverage[kind].hybrid).insert(name);
}

std::string some_of(const std::set<std::string>& names) {
  if (names.empty()) return "-";
  return std::to_string(names.size()) + " (" + *names.begin() + (names.size() > 1 ? ", ...)" : ")");
}

/// Kinds that `coverage` holds nothing of.
std::vector<std::string> lacking(const Coverage& coverage) {
  std::vector<std::string> kinds;
  for (const std::string& kind : every_kind()) {
    if (coverage.count(kind) == 0) kinds.push_back(kind);
  }
  return kinds;
}

void print(const char* title, const Coverage& coverage) {
  std::printf("%s\n", title);
  for (const auto& [kind, cover] : coverage)
    std::printf("  %-28s alone %-50s in hybrids %s\n", kind.c_str(), some_of(cover.alone).c_str(),
                some_of(cover.hybrid).c_str());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(memory_kinds)

BOOST_AUTO_TEST_CASE(what_sizes_each_kind_of_layer) {
  const auto rows = data_folder("oracles/vllm_kv_capacity");
  const auto configs = data_folder("models/hf_config");
  if (!rows || !configs) return;
  ModelCache models(*configs);
  std::set<std::string> sized;
  for (const CsvRow& row : csv_rows(*rows / "kv_capacity.csv.gz")) sized.insert(row.at("model"));
  Coverage by_engine, by_fields;
  for (const std::string& name : sized) note(models.at(name), name, by_engine);
  for (const auto& path : files_in(*configs, ".json"))
    note(models.at(path.stem().string()), path.stem(), by_fields);
  print("against vLLM's own code:", by_engine);
  print("against what was worked out by hand from the config files (memory_models):", by_fields);
  const std::vector<std::string> no_engine = lacking(by_engine), nothing = lacking(by_fields);
  for (const std::string& kind : no_engine) std::printf("not against vLLM's code: %s\n", kind.c_str());
  for (const std::string& kind : nothing)
    std::printf("against neither, closed forms of unit tests and laws only: %s\n", kind.c_str());
  // No model of the data has such layers.
  const std::vector<std::string> known = {"recurrent linear_attention", "recurrent mamba1", "recurrent rwkv",
                                          "shared_kv"};
  BOOST_TEST(no_engine == known, boost::test_tools::per_element());
  BOOST_TEST(nothing == known, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast::test
