#include "sim/cluster/prompt_content.h"

namespace kvcast {

Content content_of(const Request& request) {
  const std::uint64_t own = to_number(request.id) << 1U;
  constexpr std::uint64_t kUnnamed = std::uint64_t{1} << 63U;
  Content content;
  content.salt = request.tenant;
  content.output = kUnnamed | own | 1U;
  if (request.details != nullptr) {
    for (const PromptSegment& part : request.details->content)
      content.prompt.push_back({part.segment, part.length});
    if (request.details->output_segment != 0) content.output = request.details->output_segment;
  }
  content.is_private =
      content.prompt.empty() && (request.details == nullptr || request.details->output_segment == 0);
  if (content.prompt.empty()) content.prompt.push_back({kUnnamed | own, request.input});
  return content;
}

}  // namespace kvcast
