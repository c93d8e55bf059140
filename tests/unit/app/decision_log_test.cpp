#include "sim/app/decision_log.h"

#include <boost/test/unit_test.hpp>

#include "sim/base/file.h"
#include "tests/support/temporary_folder.h"

namespace kvcast {
namespace {

/// The lines that a log of these steps holds.
std::string logged(const std::vector<StepRecord>& steps, DecisionLog::Form form) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("decisions.jsonl");
  OutputFile out(path);
  DecisionLog log(out, form);
  for (const StepRecord& step : steps) log.on_step(step);
  out.commit();
  return read_file(path, 1 << 20, ExitCode::bad_data);
}

StepRecord step(std::int64_t index, std::int64_t ns, std::vector<StepRecord::Entry> scheduled) {
  StepRecord record;
  record.index = index;
  record.begin = Instant{Duration{ns}};
  record.scheduled = std::move(scheduled);
  record.free_scheduled = Blocks{7};
  record.free_updated = Blocks{8};
  record.running = 2;
  record.waiting = 1;
  return record;
}

BOOST_AUTO_TEST_SUITE(decision_log)

// The form of the public logs that decisions are compared with: ids alone stand for one token on top of what
// the last entry left.
BOOST_AUTO_TEST_CASE(a_request_from_admission_to_end) {
  StepRecord last = step(2, 3'000'000, {{RequestId{4}, 1, 100, false}});
  last.finished = {RequestId{4}};
  BOOST_TEST(logged({step(0, 0, {{RequestId{4}, 64, 0, true}}),
                     step(1, 1'000'000, {{RequestId{4}, 36, 64, false}}), last},
                    {}) ==
             "{\"i\":0,\"t\":0,\"s\":[[4,64,0,0]],\"fs\":7,\"R\":2,\"W\":1,\"fu\":8}\n"
             "{\"i\":1,\"t\":1000,\"s\":[[4,36,64]],\"fs\":7,\"R\":2,\"W\":1,\"fu\":8}\n"
             "{\"i\":2,\"t\":3000,\"s\":[4],\"fs\":7,\"R\":2,\"W\":1,\"f\":[4],\"fu\":8}\n");
}

BOOST_AUTO_TEST_CASE(preempted_requests_start_again_in_full) {
  StepRecord preempting = step(1, 5, {{RequestId{1}, 1, 16, false}});
  preempting.preempted = {RequestId{2}, RequestId{3}};
  BOOST_TEST(logged({step(0, 0, {{RequestId{1}, 16, 0, true}, {RequestId{2}, 16, 0, true}}), preempting,
                     step(2, 10, {{RequestId{1}, 1, 17, false}, {RequestId{2}, 17, 0, true}})},
                    {}) ==
             "{\"i\":0,\"t\":0,\"s\":[[1,16,0,0],[2,16,0,0]],\"fs\":7,\"R\":2,\"W\":1,\"fu\":8}\n"
             "{\"i\":1,\"t\":0.005,\"s\":[1],\"p\":[2,3],\"fs\":7,\"R\":2,\"W\":1,\"fu\":8}\n"
             "{\"i\":2,\"t\":0.01,\"s\":[1,[2,17,0,0]],\"fs\":7,\"R\":2,\"W\":1,\"fu\":8}\n");
}

BOOST_AUTO_TEST_CASE(several_replicas_are_told_apart) {
  StepRecord other = step(0, 1500, {{RequestId{1}, 1, 8, false}});
  other.replica = ReplicaId{1};
  BOOST_TEST(logged({step(0, 0, {{RequestId{1}, 8, 0, true}}), other}, {.replicas = 2}) ==
             "{\"replica\":0,\"i\":0,\"t\":0,\"s\":[[1,8,0,0]],\"fs\":7,\"R\":2,\"W\":1,\"fu\":8}\n"
             "{\"replica\":1,\"i\":0,\"t\":1.5,\"s\":[[1,1,8]],\"fs\":7,\"R\":2,\"W\":1,\"fu\":8}\n");
}

BOOST_AUTO_TEST_CASE(cached_tokens_asynchronous_steps_and_drafts) {
  StepRecord record = step(3, 7000, {{RequestId{5}, 4, 32, true}});
  record.output_known = 1;
  record.device_begin = Instant{Duration{9500}};
  record.drafted = {{RequestId{5}, 3, 2}, {RequestId{6}, 1, 0}};
  record.finished = {RequestId{6}};
  BOOST_TEST(logged({record}, {.asynchronous = true}) ==
             "{\"i\":3,\"t\":7,\"s\":[[5,4,32,32]],\"fs\":7,\"R\":2,\"W\":1,\"u\":1,\"g\":9.5,\"sp\":[[5,3,2]"
             ",[6,1,0]],\"f\":[6],\"fu\":8}\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
