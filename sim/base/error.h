/// Three kinds of wrong, three forms: bad input throws, expected outcomes are bool or optional, bugs are KVCAST_CHECK.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace kvcast {

/// What the process returns; documented in README.md.
enum class ExitCode : int {
  fine = 0,
  gate_not_met = 1,   // the SLO or the regression gate
  usage = 2,          // wrong command line or scenario
  infeasible = 3,     // does not fit
  bad_data = 4,       // trace, model file or measurement that cannot be read
  interrupted = 130,
};

/// Wrong input: says where (file:line:column), what, and what is allowed. Caught once, in main.
class InputError : public std::runtime_error {
 public:
  explicit InputError(const std::string& message, ExitCode code = ExitCode::usage)
      : std::runtime_error(message), code_(code) {}
  [[nodiscard]] ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// The known name nearest to `wrong` by edit distance, or "" when none is near.
[[nodiscard]] std::string nearest_name(std::string_view wrong, const std::vector<std::string>& known);

/// " (known: a, b, c; did you mean b?)": the tail of every message about an unknown name.
[[nodiscard]] std::string known_names(std::string_view wrong, const std::vector<std::string>& known);

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

/// A broken invariant is a bug in kvcast: stop at once, in every build.
#define KVCAST_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::kvcast::check_failed(#condition, __FILE__, __LINE__))

}  // namespace kvcast
