// Step logs and engine logs: what is read of them, and what is refused.
#include "workloads/step_log.h"

#include <boost/test/unit_test.hpp>

#include "tests/unit/workloads/support.h"
#include "workloads/engine_log.h"

namespace kvcast {
namespace {

using test::message_of;
using test::ns;
using test::read_all;

const std::string kHead =
    R"({"header": {"case": "a", "vllm_version": "0.32.0", "engine": {"max_num_seqs": 8, "scheduling_policy": "fcfs", "async_scheduling": false}}})"
    "\n";
const std::string kRequests =
    R"({"request": {"id": 0, "arrival_us": 90, "input": [[7, 40], [8, 10]], "input_tokens": 50, "output_tokens": 3, "first_token_us": 1200, "last_token_us": 3300}})"
    "\n"
    R"({"request": {"id": 1, "arrival_us": 95, "input_tokens": 20, "output_tokens": 1, "first_token_us": 2250, "last_token_us": 2250}})"
    "\n";
const std::string kSteps =
    R"({"step": {"start_us": 100, "dur_us": 1000, "scheduled": [["0", 30, 0]], "preempted": [], "free_blocks": 9}})"
    "\n"
    R"({"step": {"start_us": 1120, "dur_us": 1000, "scheduled": [["0", 20, 30], ["1", 12, 8]], "preempted": []}})"
    "\n"
    R"({"step": {"start_us": 2150, "dur_us": 500, "scheduled": [["0", 1, 50]], "preempted": ["1"]}})"
    "\n";

StepLog read(const std::string& text, const StepColumns* columns = nullptr) {
  StepLog log;
  read_step_log(file_in_memory("t", text), columns, log);
  return log;
}

std::string refusal(const std::string& text) {
  ExitCode code = ExitCode::fine;
  std::string message = message_of([&] { static_cast<void>(read(text)); }, &code);
  BOOST_CHECK(message.empty() || code == ExitCode::bad_data);
  return message;
}

std::string map_refusal(const std::string& yaml) {
  return message_of([&] { static_cast<void>(read_step_columns(Config::from_text(yaml, "m.yaml"))); });
}

BOOST_AUTO_TEST_SUITE(step_log)

BOOST_AUTO_TEST_CASE(json_steps_become_shapes) {
  const StepLog log = read(kHead + kRequests + kSteps);
  BOOST_TEST(log.engine == "vllm 0.32.0");
  BOOST_REQUIRE(log.steps.size() == 3U);
  // The loop's usual gap: 20 and 30 us; of two the upper median.
  BOOST_TEST(log.steps[0].time_us == 1030);
  BOOST_TEST(log.steps[0].start_us == 100);
  const StepShape& first = log.steps[0].shape;
  BOOST_TEST(first.tokens == 30);
  BOOST_TEST(first.sampled == 0);  // the prompt goes on in the next step
  BOOST_TEST(first.prefill_seqs == 1);
  BOOST_TEST(first.prefill_context == 30);
  BOOST_TEST(first.prefill_pairs == 465);
  const StepShape& second = log.steps[1].shape;
  BOOST_TEST(second.tokens == 32);
  BOOST_TEST(second.sampled == 2);
  BOOST_TEST(second.prefill_pairs == 20 * 30 + 210 + 12 * 8 + 78);
  const StepShape& third = log.steps[2].shape;
  BOOST_TEST(third.decode_seqs == 1);
  BOOST_TEST(third.decode_context == 51);
  BOOST_TEST(third.prefill_seqs == 0);
}

BOOST_AUTO_TEST_CASE(logs_of_two_models_are_refused) {
  const auto log_of = [](const std::string& model) {
    return "{\"header\": {\"model\": " + model + "}}\n" + kSteps;
  };
  StepLog log;
  read_step_log(file_in_memory("a", log_of("{\"layers\": 6}")), nullptr, log);
  read_step_log(file_in_memory("b", log_of("{\"layers\":6}")), nullptr, log);
  BOOST_TEST(log.runs.size() == 2U);
  BOOST_TEST(message_of([&] {
               read_step_log(file_in_memory("c", log_of("{\"layers\": 7}")), nullptr, log);
             }) == "c:1:22: model: another one than in the logs before; calibrate each model by itself");
  BOOST_CHECK_THROW(read_step_log(file_in_memory("d", log_of("5")), nullptr, log), InputError);
}

BOOST_AUTO_TEST_CASE(wrong_json_is_refused_in_its_place) {
  BOOST_TEST(refusal("") == "t:1:1: the file is empty");
  BOOST_TEST(refusal(kHead) == "t:1:1: no step in this log: lines {\"step\": {...}} are needed");
  BOOST_TEST(refusal("{\"step\": {\"start_us\": 1, \"dur_us\": 2}}\n") == "t:1:1: \"scheduled\" is missing");
  BOOST_TEST(refusal("{\"step\": {\"start_us\": 1, \"dur_us\": 0, \"scheduled\": [[\"0\", 1, 0]]}}\n")
                 .find("t:1:36: dur_us: ") == 0U);
  BOOST_TEST(refusal("{\"step\": {\"start_us\": 1, \"dur_us\": 2, \"scheduled\": [[\"0\", 1]]}}\n")
                 .find("triples") != std::string::npos);
  BOOST_TEST(
      refusal("{\"step\": {\"start_us\": 1, \"dur_us\": 2, \"scheduled\": []}}\n").find("at least one") !=
      std::string::npos);
  const std::string step = "{\"step\": {\"start_us\": 9, \"dur_us\": 2, \"scheduled\": [[\"0\", 1, 0]]}}\n";
  const std::string before = "{\"step\": {\"start_us\": 8, \"dur_us\": 2, \"scheduled\": [[\"0\", 1, 0]]}}\n";
  BOOST_TEST(refusal(step + before).find("t:2:1: start_us: earlier") == 0U);
}

const std::string kCsvHead =
    "step.id,step.ts_start_ns,batch.num_prefill_reqs,batch.num_decode_reqs,batch.prefill_tokens,kv.blocks_"
    "total_gpu,"
    "kv.blocks_free_gpu,experiment_id,model,tp\n";

BOOST_AUTO_TEST_CASE(csv_steps_are_timed_from_start_to_start) {
  const StepLog log = read(kCsvHead +
                           "5,1000000,1,2,10,100,90,run-a,m,4\n"
                           "6,3000000,0,3,0,100,89,run-a,m,4\n"
                           "9,9000000,0,3,0,100,89,run-a,m,4\n"
                           "10,9500000,0,1,0,100,99,run-b,m,2\n");
  BOOST_REQUIRE(log.steps.size() == 1U);  // only step 6 follows the one before it, in the same run
  BOOST_TEST(log.steps[0].time_us == 2000);
  BOOST_TEST(log.steps[0].shape.tokens == 12);
  BOOST_TEST(log.steps[0].shape.sampled == 3);
  BOOST_TEST(log.steps[0].shape.prefill_pairs == 55);
  BOOST_TEST(log.steps[0].shape.decode_context == 10 * 16 - 3 * 8 - 10);
  BOOST_TEST(log.runs.size() == 2U);
  BOOST_REQUIRE(log.groups.size() == 2U);
  BOOST_TEST(log.groups[0] == "m 4");
  BOOST_TEST(log.notes.size() == 3U);
}

BOOST_AUTO_TEST_CASE(a_column_map_names_other_columns) {
  const StepColumns columns = read_step_columns(Config::from_text(
      "time: t_ms\ntime_unit: ms\ndecode_seqs: n\ndecode_context: c\ngroup: [model]\nrename: {a-hf: a}\n",
      "m.yaml"));
  const StepLog log = read("n,c,t_ms,model\n2,100,1.5,a\n3,150,,a\n4,200,2,a-hf\n", &columns);
  BOOST_REQUIRE(log.steps.size() == 2U);  // a row without a time is left out
  BOOST_TEST(log.steps[0].time_us == 1500);
  BOOST_TEST(log.steps[1].shape.decode_context == 200);
  BOOST_TEST(log.groups.size() == 1U);
}

BOOST_AUTO_TEST_CASE(wrong_csv_and_wrong_maps_are_refused) {
  BOOST_TEST(refusal("a,b\n1,2\n").find("t:1:1: no column \"step.id\"") == 0U);
  BOOST_TEST(refusal(kCsvHead) == "t:1:1: no row in this log");
  BOOST_TEST(refusal(kCsvHead + "5,1000000,1,2,10,100,90,run-a,m,4\n").find("no row has a time") !=
             std::string::npos);
  BOOST_TEST(refusal(kCsvHead + "5,1000000,1,x,10,100,90,run-a,m,4\n")
                 .find("t:2:13: batch.num_decode_reqs: \"x\"") == 0U);
  BOOST_TEST(map_refusal("decode_seqs: n\n").find("a step's time is missing") != std::string::npos);
  BOOST_TEST(map_refusal("time: t\nstep: i\nstart: s\ndecode_seqs: n\n").find("two times") !=
             std::string::npos);
  BOOST_TEST(map_refusal("time: t\ndecode_seqs: n\nkv_blocks_free: f\n").find("go together") !=
             std::string::npos);
  BOOST_TEST(map_refusal("time: t\ndecode_seq: n\n").find("decode_seqs") != std::string::npos);
  BOOST_TEST(map_refusal("time: t\ntime_unit: minutes\ndecode_seqs: n\n").find("ms") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(engine_log)

BOOST_AUTO_TEST_CASE(its_requests_are_a_trace) {
  const auto requests = read_all("engine-log", kHead + kRequests + kSteps);
  BOOST_REQUIRE(requests.size() == 2U);
  BOOST_TEST(ns(requests[0].arrival) == 90'000);
  BOOST_TEST(requests[0].input.value == 50);
  BOOST_TEST(requests[0].output.value == 3);
  BOOST_REQUIRE(requests[0].details->content.size() == 2U);
  BOOST_TEST(requests[0].details->content[0].length.value == 40);
  BOOST_TEST(requests[1].details->content.empty());
}

BOOST_AUTO_TEST_CASE(what_the_engine_did) {
  const EngineRun run = read_engine_run(file_in_memory("t", kHead + kRequests + kSteps));
  BOOST_TEST(run.name == "a");
  BOOST_TEST(run.version == "0.32.0");
  BOOST_REQUIRE(run.settings.size() == 3U);
  BOOST_TEST(run.settings[0].second == "8");
  BOOST_TEST(run.settings[1].second == "fcfs");
  BOOST_TEST(run.settings[2].second == "false");
  BOOST_REQUIRE(run.answers.size() == 2U);
  BOOST_TEST(run.answers[0].last_token_us == 3300);
  BOOST_TEST(run.preemptions == 1);
  BOOST_TEST(run.prompt_tokens == 70);
  BOOST_TEST(run.cached_tokens == 8);
  BOOST_TEST(run.busy_us == 2500);
}

BOOST_AUTO_TEST_CASE(wrong_logs_are_refused_in_their_place) {
  const auto refused = [](const std::string& text) {
    return message_of([&] { static_cast<void>(read_engine_run(file_in_memory("t", text))); });
  };
  BOOST_TEST(refused(kRequests).find("t:1:1: the first line of an engine's log is") == 0U);
  BOOST_TEST(refused(kHead) == "t:1:1: no request in this log");
  BOOST_TEST(refused(kHead + "{\"request\": {\"id\": 0, \"arrival_us\": 5}}\n") ==
             "t:2:1: \"first_token_us\" is missing");
  BOOST_TEST(
      refused(
          kHead +
          R"({"request": {"arrival_us": 9, "first_token_us": 5, "last_token_us": 7, "output_tokens": 1, "input_tokens": 1}})")
          .find("come after arrival_us") != std::string::npos);
  const auto trace_refused = [](const std::string& line) {
    return message_of([&] { static_cast<void>(read_all("engine-log", kHead + line)); });
  };
  BOOST_TEST(
      trace_refused(
          R"({"request": {"id": 0, "arrival_us": 5, "input_tokens": 9, "output_tokens": 1, "input": [[1, 8]]}})") ==
      "t:2:1: input_tokens is 9, but the segments of input have 8");
  BOOST_TEST(trace_refused(R"({"request": {"id": 0, "arrival_us": 5, "output_tokens": 1}})") ==
             "t:2:1: \"input_tokens\" is missing");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
