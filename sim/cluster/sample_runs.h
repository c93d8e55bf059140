/// Requests whose answers are sequences of their own (vLLM v1 makes n requests of one): what users see of
/// them together.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/cluster/recorder.h"

namespace kvcast {

/// Contract: the request is scheduled and has its first token when the first of its answers has; it is
/// complete when the last one is. Gaps are those between tokens of one answer. Tracks of answers name their
/// request by Track::sample_of.
class SampleRuns {
 public:
  explicit SampleRuns(Recorder& recorder) : recorder_(recorder) {}

  /// \returns the request's number, for Track::sample_of
  [[nodiscard]] std::int32_t open(Track&& request, std::int32_t answers);
  /// The track that each of its answers starts with.
  [[nodiscard]] Track answer_of(std::int32_t number) const;

  void admitted(Track& answer, FineInstant now, Tokens cached);
  void token(Track& answer, FineInstant at);
  /// True for the last answer of a request: the request is recorded.
  [[nodiscard]] bool completed(const Track& answer, FineInstant at);
  /// The run is over; the answer is not.
  void unfinished(const Track& answer);
  /// Records the requests of which unfinished() told, in order of number.
  void record_unfinished();
  /// The engine is lost: visit(request) for each of them instead.
  template <class Visit>
  void take_unfinished(Visit visit) {
    for (Run& run : runs_) {
      if (run.cut) visit(run.request);
      run.cut = false;
    }
  }

 private:
  struct Run {
    Track request;
    std::int32_t left = 0;
    bool cut = false;
  };
  [[nodiscard]] Run& run_of(const Track& answer) { return runs_[static_cast<std::size_t>(answer.sample_of)]; }

  Recorder& recorder_;
  std::vector<Run> runs_;
  std::vector<std::int32_t> unused_;
};

}  // namespace kvcast
