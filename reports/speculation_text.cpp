#include "reports/speculation_text.h"

#include <fmt/format.h>

#include "reports/format.h"

namespace kvcast {

std::vector<SpeculationLine> speculation_lines(const Forecast& forecast) {
  if (!forecast.speculation) return {};
  const SpeculationFacts& facts = *forecast.speculation;
  std::vector<SpeculationLine> lines;
  if (forecast.record != nullptr && forecast.record->speculation.drafts > 0) {
    const SpeculationTotals& totals = forecast.record->speculation;
    const auto accepted = static_cast<double>(totals.accepted_tokens);
    lines.push_back({"Drafts accepted (%)",
                     fixed(100 * accepted / static_cast<double>(totals.draft_tokens), 2),
                     fmt::format("of {} by {}", grouped(totals.draft_tokens), facts.method)});
    lines.push_back({"Tokens a verification", fixed(1 + accepted / static_cast<double>(totals.drafts), 2),
                     fmt::format("{} expected of the acceptance given", fixed(facts.expected_tokens, 2))});
  }
  lines.push_back({"Speed-up of one sequence", fixed(facts.speedup_alone, 2),
                   fmt::format("against plain decoding, {} tokens each", grouped(facts.context))});
  const bool all = facts.paying_batch >= facts.batch_max;
  lines.push_back(
      {"Pays up to a batch of", grouped(facts.paying_batch),
       facts.paying_batch == 0 ? "it never does at this length"
       : all                   ? "the largest that max_num_seqs and the KV cache allow"
             : fmt::format("of {} tokens each; larger ones are faster without", grouped(facts.context))});
  return lines;
}

}  // namespace kvcast
