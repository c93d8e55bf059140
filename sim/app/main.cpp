#include <cstdio>
#include <new>

#include "sim/app/commands.h"
#include "sim/app/outputs.h"
#include "sim/base/error.h"

int main(int argc, char** argv) {
  using kvcast::ExitCode;
  ExitCode code = ExitCode::fine;
  try {
    kvcast::install_interrupt_handlers();
    code = kvcast::run_command_line(argc, argv);
  } catch (const kvcast::InputError& error) {
    std::fprintf(stderr, "kvcast: %s\n", error.what());
    code = error.code();
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "kvcast: out of memory\n");
    code = ExitCode::bad_data;
  }
  if (std::fflush(stdout) != 0 && code == ExitCode::fine) {
    std::perror("kvcast: standard output");
    code = ExitCode::usage;
  }
  return static_cast<int>(code);
}
