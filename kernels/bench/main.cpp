// kvcast-bench: times the kernels of one device and writes a record of each as a JSON line. Needs nothing but
// the device's driver.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "kernels/bench/bench.h"

namespace kvcast::bench {
namespace {

constexpr const char* kHelp =
    "Usage: kvcast-bench --device cpu|cuda [options]\n"
    "Times the kernels and writes one JSON line for each.\n\n"
    "  --device NAME     cpu or cuda\n"
    "  --suite NAME      full or quick (default full)\n"
    "  --quick           the same as --suite quick\n"
    "  --only REGEX      cases whose record matches, as '\"op\": \"gemm\"'\n"
    "  --samples N       of each case (default: 21, quick: 15)\n"
    "  --seed N          of the order and the data (default 1)\n"
    "  --threads N       of the CPU backend (default 1)\n"
    "  --out FILE        default: standard output\n"
    "  --resume          keep the records that FILE holds, and measure the rest\n"
    "  --slow OP=PCT     make the kernels whose name matches OP slower by PCT percent, to try a regression "
    "gate\n"
    "  --steps N         instead: run N random steps of a small model on the CPU backend and log their "
    "times\n"
    "  --passes N        with --steps: the median of N runs counts (default 3)\n"
    "  --check           instead: compare every kernel with definitions in double precision; exit 1 if one "
    "is wrong\n"
    "  --list            print the cases of the suite and stop\n"
    "  --help\n";

struct CommandLine {
  std::string device, out;
  BenchOptions bench;
  StepsOptions steps;
  int threads = 1;
  bool run_steps = false, check = false, resume = false, list = false, help = false;
};

std::int64_t number(const std::string& option, const std::string& text, std::int64_t low, std::int64_t high) {
  std::size_t used = 0;
  std::int64_t value = low - 1;
  try {
    value = std::stoll(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used != text.size() || value < low || value > high)
    throw BenchError(option + " " + text + ": not a whole number from " + std::to_string(low) + " to " +
                     std::to_string(high));
  return value;
}

Suite suite_of(const std::string& name) {
  if (name == "quick") return Suite::quick;
  if (name == "full") return Suite::full;
  throw BenchError("--suite " + name + ": unknown suite (known: full, quick)");
}

void read_slow(const std::string& text, BenchOptions& options) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    throw BenchError("--slow " + text + ": write it as gemm=10 (operation=percent)");
  options.slow_op = text.substr(0, equals);
  options.slow_percent = static_cast<int>(number("--slow", text.substr(equals + 1), 1, 1000));
}

/// Options that stand alone. \returns false: it is none
bool read_flag(const std::string& option, CommandLine& line) {
  if (option == "--help" || option == "-h") {
    line.help = true;
  } else if (option == "--quick") {
    line.bench.suite = Suite::quick;
  } else if (option == "--resume") {
    line.resume = true;
  } else if (option == "--list") {
    line.list = true;
  } else if (option == "--check") {
    line.check = true;
  } else {
    return false;
  }
  return true;
}

void read_option(const std::string& option, const std::string& value, CommandLine& line) {
  if (option == "--device") {
    line.device = value;
  } else if (option == "--suite") {
    line.bench.suite = suite_of(value);
  } else if (option == "--only") {
    line.bench.only = value;
  } else if (option == "--samples") {
    line.bench.samples = static_cast<int>(number(option, value, 1, 10'000));
  } else if (option == "--seed") {
    line.bench.seed = static_cast<std::uint64_t>(number(option, value, 0, std::int64_t{1} << 53));
    line.steps.seed = line.bench.seed;
  } else if (option == "--threads") {
    line.threads = static_cast<int>(number(option, value, 1, 1024));
    line.steps.threads = line.threads;
  } else if (option == "--out") {
    line.out = value;
  } else if (option == "--slow") {
    read_slow(value, line.bench);
  } else if (option == "--steps") {
    line.run_steps = true;
    line.steps.steps = static_cast<int>(number(option, value, 1, 100'000));
  } else if (option == "--passes") {
    line.steps.passes = static_cast<int>(number(option, value, 1, 1000));
  } else {
    throw BenchError("unknown option " + option + "; see kvcast-bench --help");
  }
}

CommandLine parse(const std::vector<std::string>& arguments) {
  CommandLine line;
  line.bench.suite = Suite::full;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string option = arguments[i];
    if (read_flag(option, line)) continue;
    const std::size_t equals = option.find('=');
    if (equals != std::string::npos) {
      read_option(option.substr(0, equals), option.substr(equals + 1), line);
    } else if (i + 1 < arguments.size()) {
      read_option(option, arguments[++i], line);
    } else {
      throw BenchError(option + " needs a value; see kvcast-bench --help");
    }
  }
  if (!line.help && line.device.empty())
    throw BenchError("--device is missing (cpu or cuda); see kvcast-bench --help");
  if (line.run_steps && line.device != "cpu") throw BenchError("--steps runs on --device cpu only");
  return line;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

void run(const CommandLine& line) {
  std::ofstream file;
  const std::vector<std::string> finished = line.resume ? lines_of(line.out) : std::vector<std::string>();
  if (!line.out.empty()) {
    file.open(line.out, line.resume ? std::ios::app : std::ios::trunc);
    if (!file) throw BenchError("--out " + line.out + ": cannot be written");
  }
  std::ostream& out = line.out.empty() ? std::cout : file;
  if (line.run_steps) {
    write_steps(time_steps(line.steps), line.steps, [&](const std::string& text) { out << text << '\n'; });
    return;
  }
  const std::unique_ptr<Device> device = make_device(line.device, line.threads, line.bench.seed);
  if (line.list) {
    for (const Case& what : device->suite(line.bench.suite)) out << '{' << what.identity() << "}\n";
    return;
  }
  run_bench(
      *device, line.bench, finished,
      [&](const std::string& text, BenchProgress) { out << text << std::endl; },
      [](const std::string& identity) { std::cerr << "not on this device: " << identity << '\n'; });
}

void print_line(const std::string& text) { std::cout << text << std::endl; }

int run_main(int argc, const char* const* argv) {
  try {
    const CommandLine line = parse({argv + 1, argv + argc});
    if (line.help) {
      std::cout << kHelp;
      return 0;
    }
    if (line.check) return run_check(line.device, line.threads, line.bench.seed, print_line) == 0 ? 0 : 1;
    run(line);
    return 0;
  } catch (const BenchError& error) {
    std::cerr << "kvcast-bench: " << error.what() << '\n';
    return 2;
  }
}

}  // namespace
}  // namespace kvcast::bench

int main(int argc, char** argv) { return kvcast::bench::run_main(argc, argv); }
