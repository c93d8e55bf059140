// Any bytes as a step log (JSON lines, CSV with the known columns, CSV with a column map) and as an engine's
// log: steps with work and time, or an InputError.
#include <cstddef>
#include <cstdint>
#include <string>

#include "sim/base/error.h"
#include "tests/fuzz/trace.h"
#include "workloads/engine_log.h"
#include "workloads/step_log.h"

namespace {

void read(const std::string& text, const kvcast::StepColumns* columns) {
  try {
    kvcast::StepLog log;
    kvcast::read_step_log(kvcast::file_in_memory("t", text), columns, log);
    for (const kvcast::LoggedStep& step : log.steps) {
      KVCAST_CHECK(step.time_us > 0);
      KVCAST_CHECK(step.shape.tokens > 0);
      KVCAST_CHECK(step.shape.decode_context >= 0);
      KVCAST_CHECK(step.run < log.runs.size());
      KVCAST_CHECK(step.group < log.groups.size());
    }
  } catch (const kvcast::InputError& error) {
    KVCAST_CHECK(!std::string(error.what()).empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  read(text, nullptr);
  kvcast::StepColumns columns;
  columns.time = "t";
  columns.decode_seqs = "n";
  columns.decode_context = "c";
  columns.group = {"g"};
  read(text, &columns);
  try {
    static_cast<void>(kvcast::read_engine_run(kvcast::file_in_memory("t", text)));
  } catch (const kvcast::InputError& error) {
    KVCAST_CHECK(!std::string(error.what()).empty());
  }
  kvcast::fuzz::run("engine-log", data, size);
  return 0;
}
