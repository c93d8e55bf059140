// What the trace fuzzers share: reads any bytes as a trace of one format and holds what comes out to the
// contract of RequestSource.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/base/config.h"
#include "sim/base/error.h"
#include "workloads/trace_format.h"
#include "workloads/trace_stats.h"

namespace kvcast::fuzz {

inline constexpr int kRequestsMax = 2000;
inline constexpr std::size_t kSegmentsMax = std::size_t{1} << 20;

inline WorkloadFactory make_trace(const std::string& format, std::vector<TraceFile> files,
                                  const char* options) {
  Config config = Config::from_text(options, "options");
  std::vector<std::string> assumptions;
  TraceInput input{
      std::move(files), config, 1,
      [](const std::string& path) -> TraceFile { throw InputError(path + ": no other files here"); },
      assumptions};
  return trace_formats().find(format, "fuzzer").make.make(input);
}

/// Takes requests, ends each at once, and checks ids, order of arrivals, lengths and content.
inline void drain(RequestSource& source) {
  Instant last = kStart;
  std::size_t segments = 0;
  for (std::uint64_t i = 0; i < kRequestsMax && segments < kSegmentsMax; ++i) {
    const std::optional<Instant> next = source.next_arrival();
    if (!next) return;
    const Request request = source.take();
    KVCAST_CHECK(request.arrival == *next);
    KVCAST_CHECK(request.arrival >= last);
    KVCAST_CHECK(to_number(request.id) == i);
    KVCAST_CHECK(request.input.value >= 1);
    KVCAST_CHECK(request.output.value >= 1);
    last = request.arrival;
    if (request.details != nullptr && !request.details->content.empty()) {
      std::int64_t content = 0;
      for (const PromptSegment& segment : request.details->content) {
        KVCAST_CHECK(segment.length.value >= 1);
        content += segment.length.value;
      }
      KVCAST_CHECK(content == request.input.value);
      segments += request.details->content.size();
    }
    source.finished(request.id, request.arrival);
  }
}

/// The whole property: any files give requests or an InputError, twice the same.
inline void run(const std::string& format, const std::vector<TraceFile>& files, const char* options = "") {
  try {
    const WorkloadFactory make = make_trace(format, files, options);
    drain(*make());
    drain(*make());
  } catch (const InputError& error) {
    KVCAST_CHECK(!std::string_view(error.what()).empty());
  }
}

inline void run(const std::string& format, const std::uint8_t* data, std::size_t size,
                const char* options = "") {
  run(format, {file_in_memory("t", std::string(data, data + size))}, options);
}

}  // namespace kvcast::fuzz
