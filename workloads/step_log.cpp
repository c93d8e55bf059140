#include "workloads/step_log.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "sim/base/error.h"
#include "workloads/json_lines.h"
#include "workloads/step_log_csv.h"

namespace kvcast {
namespace {

constexpr std::int64_t kTimeMaxUs = std::int64_t{1} << 53;  // exact in a double
// Bounds that keep a step's query-key pairs below 2^63.
constexpr std::size_t kSequencesMax = std::size_t{1} << 16;
constexpr std::int64_t kChunkTokensMax = std::int64_t{1} << 23;

/// A sequence's part in a step.
struct Chunk {
  std::int64_t id = 0;
  std::int64_t tokens = 0;
  std::int64_t computed = 0;  // before the step
};

struct ReadStep {
  std::int64_t start_us = 0;
  std::int64_t dur_us = 0;
  std::vector<Chunk> chunks;
};

bool is_decode(const Chunk& chunk) { return chunk.tokens == 1 && chunk.computed > 0; }

class JsonStepReader {
 public:
  explicit JsonStepReader(const TraceFile& file) : json_(file) {}

  [[nodiscard]] std::vector<ReadStep> read(StepLog& log) {
    std::vector<ReadStep> steps;
    while (json_.next()) {
      json_.fields([&](std::string_view key, JsonValue& value) {
        if (key == "step") steps.push_back(read_step(value));
        if (key == "header") read_header(value, log);
      });
      if (steps.size() > 1 && steps.back().start_us < steps[steps.size() - 2].start_us)
        json_.fail("start_us: earlier than the step before: sort the lines by it");
    }
    return steps;
  }

 private:
  ReadStep read_step(JsonValue& value) {
    static constexpr std::array<std::string_view, 3> kKeys = {"start_us", "dur_us", "scheduled"};
    KeySet keys(kKeys);
    ReadStep step;
    json_.fields_of(value, "step", [&](std::string_view key, JsonValue& inner) {
      switch (keys.see(key, json_)) {
        case 0:
          step.start_us = json_.count(inner, key, 0, kTimeMaxUs);
          break;
        case 1:
          step.dur_us = json_.count(inner, key, 1, kTimeMaxUs);
          break;
        case 2:
          read_chunks(inner, step.chunks);
          break;
        default:
          break;  // what else the engine says of a step
      }
    });
    for (std::size_t i = 0; i < kKeys.size(); ++i) keys.need(i, json_);
    return step;
  }

  /// [[id, tokens, computed], ...]
  void read_chunks(JsonValue& value, std::vector<Chunk>& chunks) {
    json_.elements_of(value, "scheduled", [&](JsonValue& triple) {
      const char* at = json_.place(triple);
      Chunk chunk;
      int size = 0;
      json_.elements_of(triple, "scheduled", [&](JsonValue& element) {
        if (size == 0) chunk.id = id_of(element);
        if (size == 1) chunk.tokens = json_.count(element, "scheduled", 1, kChunkTokensMax);
        if (size == 2) chunk.computed = json_.count(element, "scheduled", 0, kChunkTokensMax);
        ++size;
      });
      if (size != 3) json_.fail(at, "scheduled: triples [id, tokens, tokens already computed] are needed");
      if (chunks.size() == kSequencesMax) json_.fail(at, "scheduled: more sequences than an engine can hold");
      chunks.push_back(chunk);
    });
    if (chunks.empty()) json_.fail("scheduled: a step computes at least one sequence");
  }

  /// Ids are texts or numbers; only their equality matters.
  std::int64_t id_of(JsonValue& value) {
    const std::string text(json_.place(value)[0] == '"' ? json_.string(value, "scheduled")
                                                        : std::string_view(value.raw_json_token()));
    return ids_.emplace(text, static_cast<std::int64_t>(ids_.size())).first->second;
  }

  /// One fit is of one model.
  void see_model(JsonValue& value, StepLog& log) {
    const char* at = json_.place(value);
    std::string_view text;
    if (*at == '"') {
      text = json_.string(value, "model");
    } else {
      simdjson::ondemand::object object;
      if (value.get_object().get(object) != simdjson::SUCCESS ||
          object.raw_json().get(text) != simdjson::SUCCESS)
        json_.wrong(at, "model", "a text or an object, {...},");
    }
    std::string model(text);
    std::erase_if(model, [](char c) { return c == ' ' || c == '\t'; });
    if (!log.model.empty() && log.model != model)
      json_.fail(at, "model: another one than in the logs before; calibrate each model by itself");
    log.model = std::move(model);
  }

  void read_header(JsonValue& value, StepLog& log) {
    json_.fields_of(value, "header", [&](std::string_view key, JsonValue& inner) {
      if (key == "vllm_version") log.engine = "vllm " + std::string(json_.string(inner, key));
      if (key == "model") see_model(inner, log);
    });
  }

  JsonLines json_;
  std::unordered_map<std::string, std::int64_t> ids_;  // looked up only
};

/// Whether each chunk is the last of its prompt: the next one of its sequence, if any, does not go on with a
/// prompt where it ended. Per step and chunk.
std::vector<std::vector<bool>> find_sampled(const std::vector<ReadStep>& steps) {
  std::vector<std::vector<bool>> sampled(steps.size());
  std::unordered_map<std::int64_t, Chunk> next;  // looked up only
  for (std::size_t i = steps.size(); i-- > 0;) {
    for (const Chunk& chunk : steps[i].chunks) {
      const auto later = next.find(chunk.id);
      const bool goes_on = later != next.end() && !is_decode(later->second) &&
                           later->second.computed == chunk.computed + chunk.tokens;
      sampled[i].push_back(!goes_on);
    }
    for (const Chunk& chunk : steps[i].chunks) next[chunk.id] = chunk;
  }
  return sampled;
}

StepShape shape_of(const ReadStep& step, const std::vector<bool>& sampled) {
  StepShape shape;
  for (std::size_t i = 0; i < step.chunks.size(); ++i) {
    const Chunk& chunk = step.chunks[i];
    shape.tokens += chunk.tokens;
    shape.sampled += sampled[i] ? 1 : 0;
    if (is_decode(chunk)) {
      ++shape.decode_seqs;
      shape.decode_context += chunk.computed + 1;
    } else {
      ++shape.prefill_seqs;
      shape.prefill_context += chunk.computed + chunk.tokens;
      shape.prefill_pairs += chunk.tokens * chunk.computed + chunk.tokens * (chunk.tokens + 1) / 2;
    }
  }
  return shape;
}

bool share_a_sequence(const ReadStep& a, const ReadStep& b) {
  return std::any_of(a.chunks.begin(), a.chunks.end(), [&](const Chunk& left) {
    return std::any_of(b.chunks.begin(), b.chunks.end(),
                       [&](const Chunk& right) { return left.id == right.id; });
  });
}

/// The usual time between the end of a step and the start of the next, while there is work: the engine's
/// loop.
double usual_gap_us(const std::vector<ReadStep>& steps) {
  std::vector<std::int64_t> gaps;
  for (std::size_t i = 0; i + 1 < steps.size(); ++i) {
    if (!share_a_sequence(steps[i], steps[i + 1])) continue;
    gaps.push_back(std::max<std::int64_t>(steps[i + 1].start_us - steps[i].start_us - steps[i].dur_us, 0));
  }
  if (gaps.empty()) return 0;
  const auto middle = gaps.begin() + std::ssize(gaps) / 2;
  std::nth_element(gaps.begin(), middle, gaps.end());
  return static_cast<double>(*middle);
}

void read_json_log(const TraceFile& file, StepLog& log) {
  const std::vector<ReadStep> steps = JsonStepReader(file).read(log);
  if (steps.empty()) bad_trace(file.name, 1, 1, "no step in this log: lines {\"step\": {...}} are needed");
  const std::vector<std::vector<bool>> sampled = find_sampled(steps);
  const double gap = usual_gap_us(steps);
  LoggedStep logged;
  logged.run = index_of(log.runs, file.name);
  logged.group = index_of(log.groups, "");
  for (std::size_t i = 0; i < steps.size(); ++i) {
    logged.shape = shape_of(steps[i], sampled[i]);
    logged.start_us = static_cast<double>(steps[i].start_us);
    logged.time_us = static_cast<double>(steps[i].dur_us) + gap;
    log.steps.push_back(logged);
  }
  log.notes.push_back(file.name + ": each step's time is its dur_us and the loop's usual gap of " +
                      std::to_string(std::llround(gap)) + " us");
}

}  // namespace

std::size_t index_of(std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  names.push_back(name);
  return names.size() - 1;
}

void read_step_log(const TraceFile& file, const StepColumns* columns, StepLog& log) {
  const std::string head = head_of(file, 1 << 12);
  const std::size_t first = head.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (first == std::string::npos) bad_trace(file.name, 1, 1, "the file is empty");
  if (head[first] == '{') {
    read_json_log(file, log);
  } else {
    read_csv_step_log(file, columns, log);
  }
}

}  // namespace kvcast
