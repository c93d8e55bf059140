// --requests FILE: one row a request, in order of arrival. The JSON lines are kvcast's own trace format with
// the outcome added.
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "reports/report.h"
#include "sim/base/error.h"
#include "sim/request.h"

namespace kvcast {
namespace {

const char* name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::completed:
      return "completed";
    case Outcome::rejected_too_long:
      return "rejected_too_long";
    case Outcome::rejected_never_fits:
      return "rejected_never_fits";
    case Outcome::rejected_rate_limit:
      return "rejected_rate_limit";
    case Outcome::rejected_overload:
      return "rejected_overload";
    case Outcome::unfinished:
      return "unfinished";
    case Outcome::failed:
      return "failed";
  }
  KVCAST_CHECK(false);
}

/// Microseconds with as many of three decimals as the nanoseconds need; `none` where it did not happen.
std::string microseconds(Instant at, const char* none) {
  if (at == kNever) return none;
  const std::int64_t ns = at.time_since_epoch().count();
  std::string text = fmt::format("{}", ns / 1000);
  if (ns % 1000 != 0) {
    text += fmt::format(".{:03}", ns % 1000);
    while (text.back() == '0') text.pop_back();
  }
  return text;
}

std::string json_string(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      result += c;
    }
  }
  return result + "\"";
}

/// RFC 4180: quoted where a comma, a quote or a line break would be misread.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + "\"";
}

/// What the row's optional parts say; all empty in plain traces.
const RequestDetails& details_of(const RequestRow& row) {
  static const RequestDetails none;
  return row.details == nullptr ? none : *row.details;
}

std::string id_of(const RequestRow& row) {
  const std::string& name = details_of(row).name;
  return name.empty() ? fmt::format("{}", to_number(row.id)) : name;
}

/// The trace's own figure, so that the row asks for the same work when it is replayed.
std::int64_t output_of(const RequestRow& row) { return std::max(row.output_asked, row.output).value; }

/// A request waits in a queue from its arrival on, unless it was refused at the door.
Instant queued_at(const RequestRow& row) {
  const bool was_inside = row.outcome == Outcome::completed || row.outcome == Outcome::unfinished;
  return was_inside ? row.arrival : kNever;
}

constexpr const char* kCsvHeader =
    "id,arrival_us,input_tokens,output_tokens,priority,session,model,slo,"
    "queued_us,scheduled_us,first_token_us,last_token_us,cached_tokens,preemptions,outcome\n";

std::string csv_row(const RequestRow& row) {
  const RequestDetails& details = details_of(row);
  return fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", csv_field(id_of(row)),
                     microseconds(row.arrival, ""), row.input.value, output_of(row), row.priority,
                     csv_field(details.session), csv_field(details.model), csv_field(details.slo_class),
                     microseconds(queued_at(row), ""), microseconds(row.scheduled, ""),
                     microseconds(row.first_token, ""), microseconds(row.last_token, ""), row.cached.value,
                     row.preemptions, name_of(row.outcome));
}

std::string json_row(const RequestRow& row) {
  const RequestDetails& details = details_of(row);
  std::string text = fmt::format(
      "{{\"id\": {}, \"arrival_us\": {}, \"input_tokens\": {}, \"output_tokens\": {}",
      json_string(id_of(row)), microseconds(row.arrival, "null"), row.input.value, output_of(row));
  if (!details.content.empty()) {
    text += ", \"input\": [";
    for (std::size_t i = 0; i < details.content.size(); ++i) {
      const PromptSegment& segment = details.content[i];
      text += fmt::format("{}[\"#{:016x}\", {}]", i == 0 ? "" : ", ", segment.segment, segment.length.value);
    }
    text += "]";
  }
  if (row.output_limit.value > 0) text += fmt::format(", \"max_tokens\": {}", row.output_limit.value);
  if (row.tenant != 0) text += fmt::format(", \"tenant\": \"{}\"", row.tenant);
  if (row.priority != 0) text += fmt::format(", \"priority\": {}", row.priority);
  if (!details.session.empty()) text += ", \"session\": " + json_string(details.session);
  if (!details.model.empty()) text += ", \"model\": " + json_string(details.model);
  if (!details.slo_class.empty()) text += ", \"slo\": " + json_string(details.slo_class);
  if (details.samples > 1) text += fmt::format(", \"n\": {}", details.samples);
  if (details.beams > 1) text += fmt::format(", \"beam_width\": {}", details.beams);
  if (row.retries > 0) text += fmt::format(", \"retries\": {}", row.retries);
  if (const StageTimes& stages = row.stages; stages.replica >= 0)
    text += fmt::format(
        ", \"prefill_replica\": {}, \"prefilled_us\": {}, \"kv_sent_us\": {}, \"kv_received_us\": {}",
        stages.replica, microseconds(stages.prefilled, "null"), microseconds(stages.transfer_begin, "null"),
        microseconds(stages.transfer_end, "null"));
  return text +
         fmt::format(
             ", \"queued_us\": {}, \"scheduled_us\": {}, \"first_token_us\": {}, \"last_token_us\": {}, "
             "\"cached_tokens\": {}, \"preemptions\": {}, \"outcome\": \"{}\"}}\n",
             microseconds(queued_at(row), "null"), microseconds(row.scheduled, "null"),
             microseconds(row.first_token, "null"), microseconds(row.last_token, "null"), row.cached.value,
             row.preemptions, name_of(row.outcome));
}

class Writer final : public RequestWriter {
 public:
  explicit Writer(const std::string& path) : path_(path), csv_(path.size() >= 4 && path.ends_with(".csv")) {
    file_ = path == "-" ? stdout : std::fopen(path.c_str(), "wb");
    if (file_ == nullptr) throw InputError(path + ": cannot be written: " + std::strerror(errno));
    if (csv_) buffer_ = kCsvHeader;
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() override { finish(); }

  void on_request(const RequestRow& row) override {
    const std::uint64_t id = to_number(row.id);
    KVCAST_CHECK(id >= next_id_);  // each request ends once
    std::string text = csv_ ? csv_row(row) : json_row(row);
    if (id != next_id_) {
      const bool added = held_.emplace(id, std::move(text)).second;
      KVCAST_CHECK(added);
      return;
    }
    append(text);
    for (++next_id_; !held_.empty() && held_.begin()->first == next_id_; ++next_id_) {
      append(held_.begin()->second);
      held_.erase(held_.begin());
    }
  }

  void close() override {
    finish();
    if (failed_) throw InputError(path_ + ": cannot be written: " + std::strerror(error_));
  }

 private:
  static constexpr std::size_t kBufferBytes = std::size_t{1} << 18;

  void append(const std::string& text) {
    buffer_ += text;
    if (buffer_.size() >= kBufferBytes) flush();
  }

  void flush() {
    if (std::fwrite(buffer_.data(), 1, buffer_.size(), file_) != buffer_.size()) fail();
    buffer_.clear();
  }

  /// The first failure is the one to tell: later ones follow from it.
  void fail() {
    if (!failed_) error_ = errno;
    failed_ = true;
  }

  void finish() {
    if (file_ == nullptr) return;
    for (const auto& [id, text] : held_) append(text);
    held_.clear();
    flush();
    if ((file_ == stdout ? std::fflush(file_) : std::fclose(file_)) != 0) fail();
    file_ = nullptr;
  }

  std::string path_;
  bool csv_;
  std::FILE* file_ = nullptr;
  std::string buffer_;
  std::map<std::uint64_t, std::string> held_;  // rows that wait for an earlier request to end
  std::uint64_t next_id_ = 0;
  bool failed_ = false;
  int error_ = 0;
};

}  // namespace

std::unique_ptr<RequestWriter> make_request_writer(const std::string& path) {
  return std::make_unique<Writer>(path);
}

}  // namespace kvcast
