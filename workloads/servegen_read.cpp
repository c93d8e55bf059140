#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>

#include "sim/base/error.h"
#include "workloads/json_lines.h"
#include "workloads/servegen.h"
#include "workloads/tar.h"

namespace kvcast {
namespace {

constexpr std::string_view kRatesEnd = "-trace.csv";
constexpr std::string_view kLengthsEnd = "-dataset.json";
constexpr double kRateMax = 1e6;
constexpr double kWindowDefaultS = 600;
constexpr double kWindowRequestsMax = 1e7;

/// The N of ".../chunk-N-trace.csv"; nullopt for other names.
std::optional<std::int64_t> chunk_number(std::string_view path, std::string_view end) {
  constexpr std::string_view kBegin = "chunk-";
  path = path.substr(path.rfind('/') + 1);
  if (!path.starts_with(kBegin) || !path.ends_with(end) || path.size() < kBegin.size() + end.size())
    return std::nullopt;
  path.remove_prefix(kBegin.size());
  path.remove_suffix(end.size());
  return parse_count(path);
}

/// Text of the files by client.
struct Parts {
  std::map<std::int64_t, TraceFile> rates;
  std::map<std::int64_t, TraceFile> lengths;
};

void add_part(Parts& parts, const std::string& path, const TraceFile& file) {
  if (const auto client = chunk_number(path, kRatesEnd)) parts.rates.insert_or_assign(*client, file);
  if (const auto client = chunk_number(path, kLengthsEnd)) parts.lengths.insert_or_assign(*client, file);
}

void add_archive(Parts& parts, const TraceFile& archive) {
  read_tar(archive, [&](const std::string& path, std::string content) {
    add_part(parts, path, file_in_memory(archive.name + "(" + path + ")", std::move(content)));
  });
}

class WindowReader {
 public:
  explicit WindowReader(const TraceFile& file) : lines_(file) {}

  /// window_start, rate, cv, pattern, shape, scale; no header.
  std::vector<ServegenWindow> read() {
    std::vector<ServegenWindow> windows;
    while (lines_.next()) {
      split();
      ServegenWindow window;
      const auto start = parse_time_ns(fields_[0], 9);
      if (!start) lines_.fail(fields_[0].data(), "the window's start in seconds is needed");
      window.start_ns = *start;
      window.rate = number(1, 0, kRateMax);
      if (window.rate > 0) read_pattern(window);
      if (!windows.empty() && windows.back().start_ns >= window.start_ns) lines_.fail("windows must rise");
      windows.push_back(window);
    }
    set_lengths(windows);
    return windows;
  }

 private:
  void split() {
    std::string_view rest = lines_.text();
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      const std::size_t comma = rest.find(',');
      if ((comma == std::string_view::npos) != (i + 1 == fields_.size())) {
        lines_.fail("six fields are needed: window start, rate, cv, pattern, shape, scale");
      }
      fields_[i] = rest.substr(0, comma);
      if (comma != std::string_view::npos) rest.remove_prefix(comma + 1);
    }
  }

  [[nodiscard]] double number(std::size_t i, double min, double max) const {
    const auto value = parse_real(fields_[i]);
    if (!value || !(*value >= min && *value <= max)) {
      lines_.fail(fields_[i].data(), quoted(fields_[i]) + " is given, a number from " + std::to_string(min) +
                                         " to " + std::to_string(max) + " is needed");
    }
    return *value;
  }

  void read_pattern(ServegenWindow& window) const {
    constexpr double kShapeMin = 1e-3;
    constexpr double kShapeMax = 1e6;
    if (fields_[3] != "Gamma" && fields_[3] != "Weibull") {
      lines_.fail(fields_[3].data(),
                  quoted(fields_[3]) + " is given, Gamma or Weibull is needed where the rate is not 0");
    }
    window.pattern =
        fields_[3] == "Gamma" ? ServegenWindow::Pattern::gamma : ServegenWindow::Pattern::weibull;
    window.shape = number(4, kShapeMin, kShapeMax);
  }

  /// A window lasts until the next one; the last as long as the one before it.
  void set_lengths(std::vector<ServegenWindow>& windows) const {
    double length = kWindowDefaultS;
    for (std::size_t i = 0; i < windows.size(); ++i) {
      if (i + 1 < windows.size())
        length = static_cast<double>(windows[i + 1].start_ns - windows[i].start_ns) * 1e-9;
      windows[i].length_s = length;
      if (windows[i].rate * length > kWindowRequestsMax) {
        lines_.fail("the window from " + std::to_string(windows[i].start_ns / 1'000'000'000) +
                    " s on has more than 10 million requests");
      }
    }
  }

  LineReader lines_;
  std::array<std::string_view, 6> fields_;
};

class LengthReader {
 public:
  /// The files are indented JSON; as one line they are what JsonLines reads.
  explicit LengthReader(const TraceFile& file) : json_(as_one_line(file)) {}

  std::vector<ServegenLengths> read() {
    if (!json_.next()) json_.fail("empty: the clients' token distributions are needed");
    std::vector<ServegenLengths> all;
    json_.fields([&](std::string_view key, JsonValue& value) {
      const auto start = parse_time_ns(key, 9);
      if (!start)
        json_.fail(json_.place(value), quoted(key) + ": a window's start in seconds is needed as key");
      ServegenLengths lengths;
      lengths.start_ns = *start;
      json_.fields_of(value, key, [&](std::string_view name, JsonValue& text) {
        if (name == "input_tokens") lengths.input = read_cdf(text, name);
        if (name == "output_tokens") lengths.output = read_cdf(text, name);
      });
      all.push_back(std::move(lengths));
    });
    const auto earlier = [](const ServegenLengths& a, const ServegenLengths& b) {
      return a.start_ns < b.start_ns;
    };
    std::stable_sort(all.begin(), all.end(), earlier);
    return all;
  }

 private:
  static TraceFile as_one_line(const TraceFile& file) {
    std::string text = content_of(file, kTarFileBytesMax);
    std::replace(text.begin(), text.end(), '\n', ' ');
    return file_in_memory(file.name, std::move(text));
  }

  /// "{35: 0.005, 36: 0.0548}": a Python dictionary as text.
  TokenCdf read_cdf(JsonValue& value, std::string_view key) {
    const char* at = json_.place(value);
    std::string_view text = json_.string(value, key);
    std::vector<std::pair<std::int32_t, double>> pairs;
    const auto skip = [&](std::string_view what) {
      text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
      const bool found = text.starts_with(what);
      if (found) text.remove_prefix(what.size());
      return found;
    };
    const auto number = [&](std::string_view stops) {
      text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
      const std::string_view digits = text.substr(0, text.find_first_of(stops));
      text.remove_prefix(digits.size());
      return digits;
    };
    bool good = skip("{");
    while (good && !text.empty() && !skip("}")) {
      const auto tokens = parse_count(number(": "));
      good = tokens && *tokens <= kTokensMax && skip(":");
      const auto share = parse_real(number(",} "));
      good = good && share && *share >= 0 && *share <= 1 &&
             (skip(",") || text.starts_with("}") || text.starts_with(" "));
      if (good) pairs.emplace_back(static_cast<std::int32_t>(*tokens), *share);
    }
    if (!good || !text.empty()) json_.fail(at, std::string(key) + ": \"{tokens: share, ...}\" is needed");
    return make_cdf(pairs);
  }

  static TokenCdf make_cdf(std::vector<std::pair<std::int32_t, double>>& pairs) {
    std::stable_sort(pairs.begin(), pairs.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    TokenCdf cdf;
    double total = 0;
    for (const auto& [tokens, share] : pairs) {
      total += share;
      cdf.tokens.push_back(tokens);
      cdf.cumulative.push_back(total);
    }
    if (!(total > 0)) return {};
    return cdf;
  }

  JsonLines json_;
};

/// Says for each window which distributions are in force: the last ones that began before it.
void link_lengths(ServegenClient& client, const std::string& where) {
  for (ServegenWindow& window : client.windows) {
    if (window.rate == 0) continue;
    std::size_t last = client.lengths.size();
    for (std::size_t i = 0; i < client.lengths.size(); ++i) {
      if (client.lengths[i].start_ns <= window.start_ns) last = i;
    }
    if (last == client.lengths.size() || client.lengths[last].input.tokens.empty() ||
        client.lengths[last].output.tokens.empty()) {
      throw InputError(where + ": client " + client.name + " sends requests from " +
                           std::to_string(window.start_ns / 1'000'000'000) +
                           " s on, but has no input or no output lengths for that time",
                       ExitCode::bad_data);
    }
    window.lengths = last;
  }
}

}  // namespace

std::int64_t TokenCdf::at(double u) const {
  const auto found = std::upper_bound(cumulative.begin(), cumulative.end(), u * cumulative.back());
  const auto index = std::min(static_cast<std::size_t>(found - cumulative.begin()), tokens.size() - 1);
  return std::max(tokens[index], 1);
}

bool is_servegen(std::string_view head) {
  if (is_tar(head)) {
    const std::string_view name = first_tar_name(head);
    return chunk_number(name, kRatesEnd) || chunk_number(name, kLengthsEnd);
  }
  return head.starts_with('{') && head.find("\"input_tokens\": \"{") != std::string_view::npos;
}

std::vector<ServegenClient> read_servegen(const std::vector<TraceFile>& files,
                                          const std::string& lengths_path,
                                          const std::function<TraceFile(const std::string&)>& open_beside) {
  Parts parts;
  const std::string where = files.front().name;
  if (is_tar(head_of(files.front(), kTarHeadBytes))) {
    add_archive(parts, files.front());
  } else {
    for (const TraceFile& file : files) add_part(parts, file.name, file);
  }
  if (parts.rates.empty()) throw InputError(where + ": no chunk-N-trace.csv in it", ExitCode::bad_data);
  std::string path = lengths_path;
  constexpr std::string_view kRatesName = "_rate_csv";
  if (const std::size_t at = where.rfind(kRatesName);
      path.empty() && parts.lengths.empty() && at != std::string::npos) {
    path = std::string(where).replace(at, kRatesName.size(), "_length_pdf_json");
  }
  if (!path.empty()) add_archive(parts, open_beside(path));
  std::vector<ServegenClient> clients;
  for (const auto& [number, file] : parts.rates) {
    ServegenClient client;
    client.name = std::to_string(number);
    client.windows = WindowReader(file).read();
    const auto lengths = parts.lengths.find(number);
    if (lengths != parts.lengths.end()) client.lengths = LengthReader(lengths->second).read();
    link_lengths(client, where);
    clients.push_back(std::move(client));
  }
  return clients;
}

}  // namespace kvcast
