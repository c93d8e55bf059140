// Every decision of vLLM's own scheduler, five versions of it, on the logs of $KVCAST_DATA/oracles/vllm_schedule, in both step paths.
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "sim/app/vllm_decisions.h"
#include "tests/support/data.h"

namespace kvcast {
namespace {

BOOST_AUTO_TEST_SUITE(vllm_schedule)

BOOST_AUTO_TEST_CASE(every_decision_of_every_log) {
  const auto folder = test::data_folder("oracles/vllm_schedule");
  if (!folder) return;
  std::int64_t logs = 0;
  std::int64_t steps = 0;
  std::int64_t grouped = 0;
  for (const char* version : {".", "v0.24.0", "v0.19.0", "v0.15.1", "v0.11.2"}) {
    for (const auto& path : test::files_in(*folder / version, ".jsonl.gz")) {
      const LogCheck check = check_vllm_log(path.string());
      if (check.difference) {
        BOOST_ERROR(check.engine << " " << check.name << ": " << check.difference->where << "\n  vLLM:   "
                                 << check.difference->expected.substr(0, 600) << "\n  kvcast: " << check.difference->made.substr(0, 600));
      }
      ++logs;
      steps += check.steps;
      grouped += check.steps_grouped;
    }
  }
  BOOST_TEST_MESSAGE(logs << " logs, " << steps << " steps; by the decode group as a whole: " << grouped);
  BOOST_TEST(logs >= 150);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
