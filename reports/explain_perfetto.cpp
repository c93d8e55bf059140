// Chrome's trace-event format:
// https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (as ui.perfetto.dev reads
// it). Times are microseconds; nanoseconds are the decimals.
#include <fmt/format.h>

#include <algorithm>

#include "reports/explain_report.h"

namespace kvcast {
namespace {

constexpr std::int64_t kDevice = 1;  // tracks of a replica's process
constexpr std::int64_t kLink = 2;

std::string microseconds(std::int64_t ns) { return fmt::format("{}.{:03}", ns / 1000, ns % 1000); }
std::string microseconds(Instant at) { return microseconds(at.time_since_epoch().count()); }

class Events {
 public:
  void metadata(const char* what, std::int64_t process, std::int64_t track, const std::string& name) {
    add(fmt::format(R"({{"ph":"M","name":"{}","pid":{},"tid":{},"args":{{"name":"{}"}}}})", what, process,
                    track, name));
  }
  void order(std::int64_t process, std::int64_t index) {
    add(fmt::format(R"({{"ph":"M","name":"process_sort_index","pid":{},"tid":0,"args":{{"sort_index":{}}}}})",
                    process, index));
  }
  /// \param args JSON members
  void slice(std::string_view name, const char* category, std::int64_t process, std::int64_t track,
             Instant begin, Instant end, const std::string& args) {
    add(fmt::format(R"({{"ph":"X","name":"{}","cat":"{}","pid":{},"tid":{},"ts":{},"dur":{},"args":{{{}}}}})",
                    name, category, process, track, microseconds(begin), microseconds((end - begin).count()),
                    args));
  }
  void counter(const char* name, std::int64_t process, Instant at, const std::string& args) {
    add(fmt::format(R"({{"ph":"C","name":"{}","pid":{},"tid":0,"ts":{},"args":{{{}}}}})", name, process,
                    microseconds(at), args));
  }
  /// One that may overlap with others of its kind.
  void overlapping(const char* name, std::int64_t process, std::int64_t id, Instant begin, Instant end,
                   const std::string& args) {
    for (const auto& [phase, at] : {std::pair{'b', begin}, {'e', end}}) {
      add(fmt::format(
          R"({{"ph":"{}","name":"{}","cat":"load","id":{},"pid":{},"tid":0,"ts":{},"args":{{{}}}}})", phase,
          name, id, process, microseconds(at), args));
    }
  }
  [[nodiscard]] std::string take(const std::string& note) {
    return fmt::format("{{\"displayTimeUnit\":\"ms\",\"otherData\":{{{}}},\"traceEvents\":[\n{}\n]}}\n", note,
                       text_);
  }

 private:
  void add(const std::string& event) {
    if (!text_.empty()) text_ += ",\n";
    text_ += event;
  }
  std::string text_;
};

std::int64_t process_of(ReplicaId replica) { return static_cast<std::int64_t>(to_index(replica)) + 1; }

std::string args_of(const TracedStep& step) {
  std::string args = fmt::format(
      R"("tokens":{},"decoding":{},"decode_context":{},"prompt_chunks":{},"prompt_tokens":{})",
      step.shape.tokens, step.shape.decode_seqs, step.shape.decode_context, step.shape.prefill_seqs,
      step.shape.tokens - step.shape.decode_seqs - step.shape.verify_tokens);
  constexpr std::array<const char*, kStepParts> names = {
      "compute", "weights", "kv", "activations", "communication", "bubble", "host", "drafting", "unsplit"};
  for (std::size_t i = 0; i < kStepParts; ++i) {
    if (step.parts.time[i] > 0)
      args += fmt::format(R"(,"{}_us":{})", names[i], microseconds(step.parts.time[i] >> kFineBits));
  }
  return args;
}

void add_step(Events& events, const TracedStep& step) {
  const StepShape& shape = step.shape;
  const char* name = shape.prefill_seqs == 0 ? "decode" : shape.decode_seqs == 0 ? "prefill" : "mixed";
  const std::int64_t process = process_of(step.replica);
  events.slice(name, "step", process, kDevice, step.begin, step.end, args_of(step));
  // Collectives lie all over a step; the track shows their sum, at its end.
  const std::int64_t linked =
      std::min(step.parts.time[static_cast<std::size_t>(StepPart::communication)] >> kFineBits,
               (step.end - step.begin).count());
  if (linked > 0)
    events.slice("collectives", "link", process, kLink, step.end - Duration{linked}, step.end, "");
  events.counter("requests", process, step.begin,
                 fmt::format(R"("running":{},"waiting":{})", step.running, step.waiting));
  events.counter("free blocks", process, step.begin, fmt::format(R"("blocks":{})", step.free.value));
}

}  // namespace

std::string to_perfetto(const StepTrace& trace, std::int64_t replicas) {
  Events events;
  const std::int64_t requests = replicas + 1;
  for (std::int64_t i = 0; i < replicas; ++i) {
    events.metadata("process_name", i + 1, 0, fmt::format("replica {}", i));
    events.metadata("thread_name", i + 1, kDevice, "device");
    events.metadata("thread_name", i + 1, kLink, "links between GPUs");
    events.order(i + 1, i);
  }
  events.metadata("process_name", requests, 0, "requests");
  events.order(requests, replicas);
  for (const TracedStep& step : trace.steps()) add_step(events, step);
  for (std::size_t i = 0; i < trace.loads().size(); ++i) {
    const TracedLoad& load = trace.loads()[i];
    events.overlapping(load.from_replica ? "KV from another replica" : "load from a tier",
                       process_of(load.replica), static_cast<std::int64_t>(i) + 1, load.begin, load.end,
                       fmt::format(R"("request":{})", to_number(load.id)));
  }
  std::vector<TracedPiece> pieces = trace.pieces();
  std::stable_sort(pieces.begin(), pieces.end(), [](const TracedPiece& a, const TracedPiece& b) {
    return a.id != b.id ? a.id < b.id : a.begin < b.begin;
  });
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const TracedPiece& piece = pieces[i];
    const auto track = static_cast<std::int64_t>(to_number(piece.id)) + 1;
    if (i == 0 || pieces[i - 1].id != piece.id)
      events.metadata("thread_name", requests, track, fmt::format("request {}", to_number(piece.id)));
    std::string args = fmt::format(R"("replica":{})", to_index(piece.replica));
    if (piece.steps > 0) args += fmt::format(R"(,"steps":{},"tokens":{})", piece.steps, piece.tokens);
    events.slice(name_of(piece.kind), "request", requests, track, piece.begin, piece.end, args);
  }
  return events.take(fmt::format(R"("steps_left_out":{},"requests_left_out":{})", trace.steps_left_out(),
                                 trace.requests_left_out()));
}

}  // namespace kvcast
