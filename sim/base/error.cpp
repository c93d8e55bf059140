#include "sim/base/error.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>

namespace kvcast {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, diagonal + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view wrong, const std::vector<std::string>& known) {
  constexpr std::size_t kBeginning = 3;  // letters from which on a name that goes on like this is meant
  for (const std::string& name : known) {
    if (wrong.size() >= kBeginning && name.starts_with(wrong)) return name;
  }
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, wrong.size() / 3) + 1;
  for (const std::string& name : known) {
    const std::size_t distance = edit_distance(wrong, name);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

std::string known_names(std::string_view wrong, const std::vector<std::string>& known) {
  if (known.empty()) return " (none is known here)";
  std::string text = " (known: ";
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (i > 0) text += ", ";
    text += known[i];
  }
  const std::string near = nearest_name(wrong, known);
  if (!near.empty()) text += "; did you mean " + near + "?";
  return text + ")";
}

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(
      stderr,
      "kvcast: internal error: %s does not hold at %s:%d. This is a bug in kvcast, please report it.\n",
      condition, file, line);
  std::abort();
}

}  // namespace kvcast
