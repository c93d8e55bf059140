// A log small enough to be worked out by hand, and what is said of logs that cannot be replayed.
#include <boost/test/unit_test.hpp>

#include "sim/base/error.h"
#include "sim/sglang/replay_log.h"

namespace kvcast {
namespace {

/// One prompt of 4 tokens, 2 outputs, the normal loop. The prefill takes 1000 + 10 * 4 + 4 ns, the decode step 1000 + 10 + 5. Reserved of 100 slots: the
/// prompt, a page, the outputs. The prompt is in the tree (locked) once its result is in; at the end so is the first output, the second was never fed.
std::vector<std::string> small_log() {
  return {
      R"({"k":"header","case":"small","kind":"scheduler","engine":"sglang","version":"0.5.23","loop":"normal","page_size":1,"pool_tokens":100,)"
      R"("schedule_policy":"fcfs","schedule_conservativeness":1.0,"chunked_prefill_size":8192,"max_prefill_tokens":16384,"max_running_requests":8,)"
      R"("enable_mixed_chunk":false,"radix_eviction_policy":"lru","disable_radix_cache":false,"ignore_eos":false,)"
      R"("new_token_ratio":{"init":0.7,"min":0.098,"decay":0.0010033333333333333},"clip_max_new_tokens":4096,"in_batch_prefix_check":32,)"
      R"("in_batch_prefix_deprioritize":32,"lpm_fallback_waiting":128,"retract_decode_steps":20,"context_len":131072,"max_req_len":99,)"
      R"("retraction_policy":"length","prefill_decode_interval":0,"clock":{"unit":"ns","base":1000,"per_token":10,"per_context_token":1},"requests":1,)"
      R"("output_segment_base":1073741824,"eos_token":128001})",
      R"({"k":"q","i":0,"t":0,"p":[[1,4]],"o":2,"m":2})",
      R"({"k":"p","s":1,"at":0,"t":0,"d":1044,"b":[[0,0,4]],"n":0,"T":4,"c":4,"stop":[-1,"CONTINUE"],"rem":[93,16380,8188],"w":0,"nt":0.7,"av":96,"ev":0,"pr":0,"full":0})",
      R"({"k":"d","s":2,"at":1044,"t":1044,"d":1015,"+":[0],"n":1,"c":5,"w":0,"nt":0.698997,"av":95,"ev":0,"pr":4,"full":0})",
      R"({"k":"f","t":2059,"s":2,"fin":[[0,2,5,5]]})",
      R"({"k":"end","t":2059,"steps":2,"av":95,"ev":5,"pr":0})",
  };
}

void replace(std::string& text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  BOOST_REQUIRE(at != std::string::npos);
  text.replace(at, from.size(), to);
}

/// The message about a log whose line (from 0) has been changed.
std::string refusal(std::size_t line, const std::string& from, const std::string& to) {
  std::vector<std::string> log = small_log();
  replace(log[line], from, to);
  try {
    static_cast<void>(replay_sglang_log(log, "small.jsonl", StepPath::step_by_step));
  } catch (const InputError& error) {
    BOOST_TEST((error.code() == ExitCode::bad_data || std::string(error.what()).find("unknown") != std::string::npos));
    return error.what();
  }
  return "accepted";
}

BOOST_AUTO_TEST_SUITE(replay_log)

BOOST_AUTO_TEST_CASE(a_log_worked_out_by_hand) {
  for (const StepPath path : {StepPath::step_by_step, StepPath::closed_form}) {
    const DecisionReplay replay = replay_sglang_log(small_log(), "small.jsonl", path);
    BOOST_TEST(!replay.difference.has_value(), (replay.difference ? replay.difference->made : ""));
    BOOST_TEST(replay.decisions == 4);
    BOOST_TEST(replay.steps == 2);
    BOOST_TEST(replay.version == "0.5.23");
  }
}

BOOST_AUTO_TEST_CASE(the_first_difference_is_named_with_both_sides) {
  std::vector<std::string> log = small_log();
  replace(log[3], "\"av\":95", "\"av\":94");
  const DecisionReplay replay = replay_sglang_log(log, "small.jsonl", StepPath::closed_form);
  BOOST_REQUIRE(replay.difference.has_value());
  BOOST_TEST(replay.difference->line == 4);
  BOOST_TEST(replay.difference->field == "av");
  BOOST_TEST(replay.difference->expected == log[3]);
  BOOST_TEST(replay.difference->made.find("\"av\":95") != std::string::npos);
  BOOST_TEST(replay.difference->context == std::vector<std::string>{log[2]}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_line_too_few_or_too_many_is_a_difference) {
  std::vector<std::string> log = small_log();
  const std::string last = log.back();
  log.pop_back();
  const DecisionReplay few = replay_sglang_log(log, "small.jsonl", StepPath::closed_form);
  BOOST_REQUIRE(few.difference.has_value());
  BOOST_TEST(few.difference->expected.empty());
  log.push_back(last);
  log.push_back(last);
  const DecisionReplay many = replay_sglang_log(log, "small.jsonl", StepPath::closed_form);
  BOOST_REQUIRE(many.difference.has_value());
  BOOST_TEST(many.difference->made.empty());
  BOOST_TEST(many.difference->line == 7);
}

BOOST_AUTO_TEST_CASE(bad_logs_are_refused_by_line_and_cause) {
  BOOST_TEST(refusal(0, "\"kind\":\"scheduler\"", "\"kind\":\"planner\"").find("small.jsonl:1: \"kind\"") == 0);
  BOOST_TEST(refusal(0, "\"pool_tokens\":100,", "").find("small.jsonl:1: \"pool_tokens\" is missing") == 0);
  BOOST_TEST(refusal(0, "\"page_size\":1", "\"page_size\":16").find("small.jsonl:1: \"pool_tokens\" must be a multiple") == 0);
  BOOST_TEST(refusal(0, "\"max_req_len\":99", "\"max_req_len\":98").find("small.jsonl:1: \"max_req_len\"") == 0);
  BOOST_TEST(refusal(0, "\"init\":0.7", "\"init\":0.6").find("small.jsonl:1: \"new_token_ratio\"") == 0);
  BOOST_TEST(refusal(0, "\"schedule_policy\":\"fcfs\"", "\"schedule_policy\":\"lmp\"").find("unknown schedule_policy \"lmp\" (known: fcfs, lof, lpm") !=
             std::string::npos);
  BOOST_TEST(refusal(0, "\"requests\":1", "\"requests\":2").find("small.jsonl:1: \"requests\"") == 0);
  BOOST_TEST(refusal(0, "\"base\":1000", "\"base\":0").find("small.jsonl:1: the clock") == 0);
  BOOST_TEST(refusal(1, "\"i\":0", "\"i\":1").find("small.jsonl:2: \"i\" must count up") == 0);
  BOOST_TEST(refusal(1, "[1,4]", "[1,0]").find("small.jsonl:2: \"p\"") == 0);
  BOOST_TEST(refusal(1, "[1,4]", "[1,9000000000000000000]").find("small.jsonl:2: \"p\"") == 0);
  BOOST_TEST(refusal(1, "\"o\":2", "\"o\":\"2\"").find("small.jsonl:2: \"o\" is missing or of the wrong type") == 0);
  BOOST_TEST(refusal(2, "{", "").find("small.jsonl:3: not a JSON object") == 0);
  BOOST_CHECK_THROW(static_cast<void>(replay_sglang_log({}, "empty", StepPath::closed_form)), InputError);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
