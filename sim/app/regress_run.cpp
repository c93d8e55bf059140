#include "sim/app/regress_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "sim/base/error.h"

namespace kvcast {
namespace {

[[noreturn]] void fail(const std::string& program, const std::string& what) {
  throw InputError(program + ": " + what, ExitCode::bad_data);
}

/// Reads to the end and closes.
std::string read_all(int descriptor) {
  std::string text;
  char buffer[65536];
  while (true) {
    const ssize_t count = read(descriptor, buffer, sizeof buffer);
    if (count > 0) text.append(buffer, static_cast<std::size_t>(count));
    if (count == 0 || (count < 0 && errno != EINTR)) break;
  }
  close(descriptor);
  return text;
}

/// Starts the program with its standard output into `write_end`. \returns 0 or an errno
int start(const std::vector<std::string>& command, int write_end, pid_t& process) {
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, write_end, STDOUT_FILENO);
  const int error = posix_spawnp(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

std::vector<MeasurementRecord> run_block(const std::string& bench, const BenchRun& run, std::int64_t block) {
  std::vector<std::string> command = {bench,
                                      "--device",
                                      run.device,
                                      "--suite",
                                      run.suite,
                                      "--seed",
                                      std::to_string(run.seed + static_cast<std::uint64_t>(block))};
  if (!run.only.empty()) command.insert(command.end(), {"--only", run.only});
  if (!run.samples.empty()) command.insert(command.end(), {"--samples", run.samples});
  std::vector<MeasurementRecord> records = parse_measurement_records(output_of(command), bench + " (output)");
  if (records.empty()) fail(bench, "wrote no record");
  return records;
}

/// One block for each process and kernel: a benchmark may write several records of a sentinel.
void add_block(std::vector<MeasurementRecord>& all, std::vector<MeasurementRecord> records) {
  const std::size_t before = all.size();
  for (MeasurementRecord& record : records) {
    bool merged = false;
    for (std::size_t i = before; i < all.size() && !merged; ++i) {
      if (all[i].key() != record.key()) continue;
      all[i].samples_ns.insert(all[i].samples_ns.end(), record.samples_ns.begin(), record.samples_ns.end());
      all[i].samples_cycles.insert(all[i].samples_cycles.end(), record.samples_cycles.begin(),
                                   record.samples_cycles.end());
      if (!all[i].samples_ns.empty()) all[i].ns = summarize(all[i].samples_ns);
      merged = true;
    }
    if (!merged) all.push_back(std::move(record));
  }
}

}  // namespace

std::string output_of(const std::vector<std::string>& command) {
  KVCAST_CHECK(!command.empty());
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail(command[0], std::string("no pipe: ") + std::strerror(errno));
  pid_t process = 0;
  const int error = start(command, ends[1], process);
  close(ends[1]);
  if (error != 0) {
    close(ends[0]);
    fail(command[0], std::string("cannot be started: ") + std::strerror(error));
  }
  std::string text = read_all(ends[0]);
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) fail(command[0], fmt::format("ended by signal {}", WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0) fail(command[0], fmt::format("ended with exit code {}", WEXITSTATUS(status)));
  return text;
}

BenchResult run_benches(const BenchRun& run,
                        const std::function<void(std::int64_t, std::int64_t)>& progress) {
  std::vector<MeasurementRecord> base;
  std::vector<MeasurementRecord> candidate;
  std::int64_t done = 0;
  for (std::int64_t block = 0; block < run.blocks; ++block) {
    for (const bool first : {true, false}) {
      const bool is_base = first == (block % 2 == 0);
      add_block(is_base ? base : candidate, run_block(is_base ? run.base_bench : run.new_bench, run, block));
      progress(++done, 2 * run.blocks);
    }
  }
  return {timing_suite(base, run.base_bench), timing_suite(candidate, run.new_bench)};
}

}  // namespace kvcast
