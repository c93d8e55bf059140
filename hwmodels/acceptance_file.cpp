#include "hwmodels/acceptance_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>

#include "sim/base/error.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

constexpr std::string_view kDrafts = "vllm:spec_decode_num_drafts";
constexpr std::string_view kPerPosition = "vllm:spec_decode_num_accepted_tokens_per_pos";
constexpr std::int64_t kPositionsMax = 64;
constexpr double kCountMax = 1e18;

[[noreturn]] void fail(const std::string& name, std::size_t line, const std::string& what) {
  throw InputError(fmt::format("{}:{}:1: {}", name, line, what), ExitCode::bad_data);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

/// A sample's metric without the suffix that counters have.
bool is_metric(std::string_view line, std::string_view name) {
  if (!line.starts_with(name)) return false;
  std::string_view rest = line.substr(name.size());
  constexpr std::string_view kSuffix = "_total";
  if (rest.starts_with(kSuffix)) rest.remove_prefix(kSuffix.size());
  return rest.starts_with('{') || rest.starts_with(' ');
}

/// The last word of a sample without a timestamp.
double value_of(std::string_view line, const std::string& name, std::size_t number) {
  const std::size_t labels = line.rfind('}');
  const std::size_t end = labels == std::string_view::npos ? line.find(' ') : labels + 1;
  const std::string_view rest = end == std::string_view::npos
                                    ? std::string_view()
                                    : trimmed(line.substr(end));  // labels without an end
  const std::optional<double> value = parse_real(std::string(rest.substr(0, rest.find(' '))));
  if (!value || !(*value >= 0 && *value <= kCountMax))
    fail(name, number, "the counter has no value of at least 0");
  return *value;
}

std::int64_t position_of(std::string_view line, const std::string& name, std::size_t number) {
  constexpr std::string_view kLabel = "position=\"";
  const std::size_t at = line.find(kLabel);
  const std::string_view rest = at == std::string_view::npos ? "" : line.substr(at + kLabel.size());
  const std::optional<double> position = parse_real(std::string(rest.substr(0, rest.find('"'))));
  if (!position || *position < 0 || *position >= kPositionsMax || *position != std::floor(*position))
    fail(name, number, fmt::format("a label position=\"0\" to position=\"{}\" is needed", kPositionsMax - 1));
  return static_cast<std::int64_t>(*position);
}

/// Rates by position from how many verifications accepted at least so many drafts.
std::vector<double> rates_of(const std::map<std::int64_t, double>& reached, double verifications,
                             const std::string& name) {
  if (verifications <= 0) fail(name, 1, "it counts no verification");
  std::vector<double> rates;
  for (const auto& [position, count] : reached) {
    if (position != static_cast<std::int64_t>(rates.size()))
      fail(name, 1, fmt::format("position {} is missing", rates.size()));
    rates.push_back(count / verifications);
  }
  if (rates.empty()) fail(name, 1, "it has no accepted tokens by position");
  return conditional_acceptance(rates, name);
}

}  // namespace

std::vector<double> conditional_acceptance(const std::vector<double>& rates, const std::string& where) {
  std::vector<double> conditional;
  double before = 1;
  for (const double rate : rates) {
    if (rate > before) {
      throw InputError(
          fmt::format("{}: position {} has {}, more than the {} of the position before it: rates "
                      "count verifications that accepted at least so many drafts",
                      where, conditional.size(), rate, before),
          ExitCode::bad_data);
    }
    conditional.push_back(before > 0 ? rate / before : 0);
    before = rate;
  }
  return conditional;
}

std::vector<double> parse_acceptance(const std::string& text, const std::string& name) {
  double verifications = 0;
  bool scrape = false;
  std::map<std::int64_t, double> reached;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = trimmed(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (line.empty() || line.front() == '#') continue;
    if (is_metric(line, kDrafts)) {
      scrape = true;
      verifications += value_of(line, name, number);
    } else if (is_metric(line, kPerPosition)) {
      scrape = true;
      reached[position_of(line, name, number)] += value_of(line, name, number);
    } else if (!scrape) {
      const std::optional<double> count = parse_real(std::string(line));
      if (!count && line.find(' ') != std::string_view::npos) continue;  // another metric
      if (!count || *count < 0 || *count > static_cast<double>(kPositionsMax) || *count != std::floor(*count))
        fail(name, number,
             fmt::format("neither a counter of a /metrics scrape nor a number of accepted drafts, 0 to {}",
                         kPositionsMax));
      verifications += 1;
      for (std::int64_t i = 0; i < kPositionsMax; ++i) reached[i] += static_cast<double>(i) < *count ? 1 : 0;
    }
  }
  if (!scrape) {
    while (!reached.empty() && reached.rbegin()->second == 0 && reached.size() > 1)
      reached.erase(std::prev(reached.end()));
  }
  return rates_of(reached, verifications, name);
}

}  // namespace kvcast
