// The load of inference-perf: exact counts and spans of stages, prompts in turns, keys and their ranges.
#include <boost/test/unit_test.hpp>

#include <map>

#include "sim/base/error.h"
#include "workloads/workload.h"

namespace kvcast {
namespace {

const std::string kPrefix =
    "shared_prefix: {num_unique_system_prompts: 2, num_users_per_system_prompt: 3, system_prompt_len: 10, "
    "question_len: 20, "
    "output_len: 5}";

WorkloadSetup workload(const std::string& prefix, const std::string& stages, std::uint64_t seed = 1) {
  Config config = Config::from_text("inference_perf: {" + prefix + ", " + stages + "}", "t.yaml");
  WorkloadSetup setup = make_workload(config, seed, "");
  config.finish();
  return setup;
}

std::string refusal(const std::string& prefix, const std::string& stages) {
  try {
    (void)workload(prefix, stages);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

BOOST_AUTO_TEST_SUITE(inference_perf)

BOOST_AUTO_TEST_CASE(stages_hold_exactly_their_requests) {
  const WorkloadSetup setup = workload(kPrefix, "stages: [{rate: 2, duration: 30}, {rate: 10, duration: 3}]");
  BOOST_TEST(setup.requests_max == 90);
  BOOST_REQUIRE(setup.stages.size() == 2U);
  BOOST_TEST(setup.stages[1].rate == 10);
  const auto source = setup.make_source();
  std::map<int, int> by_stage;
  Instant last = kStart;
  while (source->next_arrival()) {
    const Request request = source->take();
    BOOST_TEST((request.arrival >= last));
    last = request.arrival;
    by_stage[request.arrival > setup.stages[0].end ? 1 : 0]++;
    BOOST_TEST(request.input.value == 30);
    BOOST_TEST(request.output.value == 5);
  }
  BOOST_TEST(by_stage[0] == 60);
  BOOST_TEST(by_stage[1] == 30);
  BOOST_TEST((last == setup.stages[1].end));
}

BOOST_AUTO_TEST_CASE(prompts_come_in_turns_and_users_of_a_group_share_the_system_prompt) {
  const auto source = workload(kPrefix, "stages: [{rate: 2, duration: 6}]").make_source();
  std::vector<std::vector<std::uint64_t>> prompts;
  while (source->next_arrival()) {
    const Request request = source->take();
    const auto& content = request.details->content;
    BOOST_REQUIRE(content.size() == 2U);
    prompts.push_back({content[0].segment, content[1].segment});
  }
  BOOST_REQUIRE(prompts.size() == 12U);
  std::map<std::uint64_t, int> groups;
  std::map<std::uint64_t, int> questions;
  for (std::size_t i = 0; i < 6; ++i) {
    BOOST_TEST((prompts[i] == prompts[i + 6]));
    ++groups[prompts[i][0]];
    ++questions[prompts[i][1]];
  }
  BOOST_TEST(groups.size() == 2U);
  BOOST_TEST(questions.size() == 6U);
}

BOOST_AUTO_TEST_CASE(old_names_of_the_keys) {
  const WorkloadSetup setup = workload("shared_prefix: {num_groups: 4, num_prompts_per_group: 2}",
                                       "stages: [{rate: 1, duration: 3}]");
  BOOST_TEST(setup.description.find("8 prompts in turns, 100 + 50 tokens in, 50 out") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(refusals) {
  BOOST_TEST(refusal(kPrefix, "stages: []").find("at least one stage") != std::string::npos);
  BOOST_TEST(refusal(kPrefix, "stages: [{rate: 0.1, duration: 3}]").find("below one request") !=
             std::string::npos);
  BOOST_TEST(refusal("shared_prefix: {num_groups: 100000, num_prompts_per_group: 100000}",
                     "stages: [{rate: 1, duration: 3}]")
                 .find("more than 1000000 prompts") != std::string::npos);
  BOOST_TEST(refusal(kPrefix, "stages: [{rate: 1, duration: 3}], rate: 3").find("unknown") !=
             std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
