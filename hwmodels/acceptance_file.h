/// How drafts fared in a real engine, from a file.
#pragma once

#include <string>
#include <vector>

namespace kvcast {

/// Probabilities that a draft is accepted given that those before it were, by position. The file is either
/// a scrape of vLLM's /metrics (vllm:spec_decode_num_drafts and
/// vllm:spec_decode_num_accepted_tokens_per_pos, summed over engines), or one number a line: how many drafts
/// each verification accepted. \param name stands in messages
/// \throws InputError (bad data) "file:line:1: what"
[[nodiscard]] std::vector<double> parse_acceptance(const std::string& text, const std::string& name);

/// Likewise from unconditional rates by position, as engines print them: position i counts a verification
/// whose first i drafts were accepted. \throws InputError where one is above the one before it
[[nodiscard]] std::vector<double> conditional_acceptance(const std::vector<double>& rates,
                                                         const std::string& where);

}  // namespace kvcast
