// Layer profiles: tables to curves and grids, their file, and the timer that adds them up.
#include "hwmodels/layer_profile.h"

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr const char* kHeader =
    R"({"calibration": {"schema_version": 1, "kind": "layers", "device": {"name": "rtx-pro-6000"}, "source": "a test"}})";

/// Every layer takes 10 us and 1 us a row; attention 5 us, 1 us a sequence and 0.01 us a token of each, twice
/// as much per sequence beside a chunk.
LayerProfile made_profile() {
  LayerTables tables("made", 1);
  std::int64_t line = 1;
  tables.begin("dense.csv", "dense", "layer,tokens,time_us");
  for (const char* layer : {"embedding", "final_layernorm", "layernorm", "qkv_proj", "rotary_emb", "o_proj",
                            "gate_up_proj", "act_fn", "down_proj"}) {
    for (const int rows : {1, 100}) tables.row(fmt::format("{},{},{}", layer, rows, 10 + rows), ++line);
  }
  tables.begin("per_sequence.csv", "per_sequence", "layer,sequences,time_us");
  for (const char* layer : {"lm_head", "sampler"}) tables.row(fmt::format("{},1,7", layer), ++line);
  tables.begin("attention.csv", "attention", "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us");
  for (const int chunk : {16, 32}) {
    for (const int cached : {0, 100})
      tables.row(fmt::format("{},{},0,0,{}", chunk, cached, chunk + cached), ++line);
  }
  for (const int seqs : {1, 4}) {
    for (const int context : {100, 1000}) {
      const double one = seqs * (1 + 0.01 * context);
      tables.row(fmt::format("0,0,{},{},{}", seqs, context, 5 + one), ++line);
      tables.row(fmt::format("16,0,{},{},{}", seqs, context, 16 + 2 * one), ++line);
    }
  }
  return tables.finish();
}

template <class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

StepShape decode_shape(std::int64_t seqs, std::int64_t context) {
  StepShape shape;
  shape.tokens = shape.sampled = shape.decode_seqs = seqs;
  shape.decode_context = context;
  return shape;
}

double us(const StepCost& cost) { return static_cast<double>(cost.time.count()) / (1e3 * (1 << kFineBits)); }

}  // namespace

BOOST_AUTO_TEST_SUITE(layer_profile)

BOOST_AUTO_TEST_CASE(curves_and_grids_are_straight_between_points) {
  const LayerProfile profile = made_profile();
  BOOST_TEST(profile.layers[3].curve.at(50) == 60, boost::test_tools::tolerance(1e-9));
  BOOST_TEST(profile.layers[3].curve.at(200) == 210, boost::test_tools::tolerance(1e-9));  // beyond
  BOOST_TEST(profile.decode.at(4, 550) == 5 + 4 * 6.5, boost::test_tools::tolerance(1e-9));
  BOOST_TEST(profile.decode.at(8, 1000) == 2 * profile.decode.at(4, 1000),
             boost::test_tools::tolerance(1e-9));
  BOOST_TEST(profile.mixed.at(4, 1000) == 2 * 4 * 11,
             boost::test_tools::tolerance(1e-9));  // the chunk's own 16 us off
}

BOOST_AUTO_TEST_CASE(a_profile_reads_back_as_it_was_written) {
  const LayerProfile profile = made_profile();
  const std::string text = format_layer_profile(profile);
  const auto read = parse_layer_profiles(parse_calibration(std::string(kHeader) + "\n" + text, "p.jsonl"));
  BOOST_REQUIRE(read.size() == 1U);
  BOOST_TEST(format_layer_profile(read.front()) == text);
  BOOST_TEST(&pick_layer_profile(read, 1, "p.jsonl") == &read.front());
  BOOST_TEST(refusal([&] { (void)pick_layer_profile(read, 4, "p.jsonl"); }).find("size 4 (it has: 1)") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_step_is_the_sum_of_its_layers) {
  const ModelSpec model = load_model("llama-3.1-8b");
  const auto timer =
      make_layer_timer(made_profile(), model, find_gpu("rtx-pro-6000", "test"), CalibratedOptions{});
  // One row: 8 runs of 12 us a layer (two norms), two layers outside; one microsecond between kernels; 7 us
  // each for head and sampler; attention of one sequence at 100 tokens.
  const double expected = 32 * 8 * 12 + 2 * 12 + 2 * 8 + 32 * 7;
  BOOST_TEST(us(timer->step(decode_shape(1, 100))) == expected, boost::test_tools::tolerance(0.02));
  StepShape mixed = decode_shape(4, 4000);
  mixed.tokens += 16;
  mixed.prefill_seqs = 1;
  mixed.prefill_context = 16;
  mixed.prefill_pairs = 136;
  const double attention = 32 * (16 + 2 * 4 * 11);
  double rest = 0;
  for (const OperatorTime& part : timer->operators(mixed)) {
    if (!part.name.ends_with("attention")) rest += part.us;
  }
  // Up to 7 us a layer more: a chunk of one token after 7 is held at what the smallest profiled chunk takes,
  // and no larger chunk of as many keys takes less.
  BOOST_TEST(us(timer->step(mixed)) >= rest + attention);
  BOOST_TEST(us(timer->step(mixed)) <= rest + attention + 32 * 8);
}

BOOST_AUTO_TEST_CASE(wrong_profiles_are_refused) {
  LayerTables tables("made", 1);
  BOOST_TEST(refusal([&] {
               tables.begin("d.csv", "dense", "layer,rows");
             }).find("d.csv:1:1: expected the header") != std::string::npos);
  tables.begin("d.csv", "dense", "layer,tokens,time_us");
  BOOST_TEST(refusal([&] { tables.row("qkv,1,2", 2); }).find("did you mean qkv_proj") != std::string::npos);
  BOOST_TEST(refusal([&] { tables.row("qkv_proj,1", 3); }).find("d.csv:3:1: expected 3 cells") !=
             std::string::npos);
  BOOST_TEST(refusal([&] { tables.row("qkv_proj,1,-2", 4); }).find("expected a number") != std::string::npos);
  BOOST_TEST(refusal([&] { (void)tables.finish(); }).find("the profile has no embedding") !=
             std::string::npos);
  const std::string layer =
      std::string(kHeader) +
      "\n{\"fit\": {\"kernel\": \"layer\", \"model\": \"m\", \"tensor_parallel_size\": 1, "
      "\"layer\": \"x\", \"by\": \"tokens\", \"per_layer\": 1, \"rows\": [1, 1], \"us\": [1, 2]}}\n";
  BOOST_TEST(refusal([&] {
               (void)parse_layer_profiles(parse_calibration(layer, "p.jsonl"));
             }).find("must ascend") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast
