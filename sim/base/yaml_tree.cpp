#include "sim/base/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "sim/base/error.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

using Kind = YamlNode::Kind;

/// Turns yaml-cpp's events into YamlNodes. Its own node tree is not used: it keeps duplicate keys silently
/// and copies on alias.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(std::shared_ptr<const std::string> source, bool one_line)
      : source_(std::move(source)), one_line_(one_line) {}

  [[nodiscard]] YamlNodePtr root() const { return root_; }

  [[nodiscard]] YamlPlace place(const YAML::Mark& mark) const {
    if (one_line_ || mark.is_null()) return {source_, 0, 0};
    return {source_, mark.line + 1, mark.column + 1};
  }

  [[noreturn]] static void fail(const YamlPlace& place, const std::string& message) {
    throw InputError(place.to_string() + ": " + message);
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (root_ != nullptr)
      fail(place(mark), "a second YAML document starts here; a configuration is one document");
  }
  void OnDocumentEnd() override { KVCAST_CHECK(open_.empty()); }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto node = make(Kind::null, mark);
    // yaml-cpp places an absent value at whatever comes next; the user looks for it at its key.
    const bool has_key = !open_.empty() && open_.back().pending.has_value();
    if (has_key && open_.back().pending->key_place.line != node->place.line)
      node->place = open_.back().pending->key_place;
    add(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end()) fail(place(mark), "an alias inside the value that it names would never end");
    insert(known->second, place(mark));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    reject_tag(mark, tag);
    const auto control = std::find_if(value.begin(), value.end(), [](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f;
    });
    if (control != value.end()) fail(place(mark), "control characters are not allowed: " + quoted(value));
    auto node = make(Kind::scalar, mark);
    node->text = value;
    node->plain = tag == "?";
    add(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    reject_tag(mark, tag);
    open(make(Kind::sequence, mark), anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    reject_tag(mark, tag);
    open(make(Kind::mapping, mark), anchor);
  }
  void OnMapEnd() override {
    reject_duplicates(*open_.back().node);
    close();
  }

 private:
  struct Open {
    std::shared_ptr<YamlNode> node;
    YAML::anchor_t anchor;
    std::optional<YamlEntry> pending;  // a mapping's key that waits for its value
  };

  [[nodiscard]] std::shared_ptr<YamlNode> make(Kind kind, const YAML::Mark& mark) const {
    auto node = std::make_shared<YamlNode>();
    node->kind = kind;
    node->place = place(mark);
    return node;
  }

  /// "?" and "!" are what yaml-cpp says of untagged plain and quoted nodes.
  void reject_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (tag != "?" && tag != "!" && !tag.empty())
      fail(place(mark), "YAML tags are not supported: " + quoted(tag));
  }

  static void reject_duplicates(const YamlNode& mapping) {
    std::vector<const YamlEntry*> sorted;
    sorted.reserve(mapping.entries.size());
    for (const YamlEntry& entry : mapping.entries) sorted.push_back(&entry);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const YamlEntry* a, const YamlEntry* b) { return a->key < b->key; });
    const auto twin =
        std::adjacent_find(sorted.begin(), sorted.end(),
                           [](const YamlEntry* a, const YamlEntry* b) { return a->key == b->key; });
    if (twin == sorted.end()) return;
    const YamlEntry& first = **twin;
    const YamlEntry& second = **(twin + 1);
    std::string message = "key " + quoted(second.key) + " is given twice";
    if (first.key_place.line > 0) message += "; the first is at " + first.key_place.to_string();
    fail(second.key_place, message);
  }

  void add(std::shared_ptr<YamlNode> node, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = node;
    const YamlPlace at = node->place;
    insert(std::move(node), at);
  }

  void open(std::shared_ptr<YamlNode> node, YAML::anchor_t anchor) {
    if (open_.size() >= kYamlDepthMax)
      fail(node->place, fmt::format("nested deeper than {} levels", kYamlDepthMax));
    open_.push_back({std::move(node), anchor, std::nullopt});
  }

  void close() {
    Open closed = std::move(open_.back());
    open_.pop_back();
    KVCAST_CHECK(!closed.pending.has_value());
    // Only now can it be named: an alias met while it was open found no such anchor, which is how recursion
    // is caught.
    add(std::move(closed.node), closed.anchor);
  }

  void insert(YamlNodePtr node, const YamlPlace& at) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    parent.node->size += node->size;
    if (parent.node->size > kYamlNodesMax) fail(at, fmt::format("more than {} values", kYamlNodesMax));
    if (parent.node->kind == Kind::sequence) {
      parent.node->items.push_back(std::move(node));
    } else if (!parent.pending.has_value()) {
      if (node->kind != Kind::scalar) fail(at, "a key must be a name");
      parent.pending = YamlEntry{node->text, at, nullptr};
    } else {
      parent.pending->value = std::move(node);
      parent.node->entries.push_back(*std::move(parent.pending));
      parent.pending.reset();
    }
  }

  std::shared_ptr<const std::string> source_;
  bool one_line_;
  YamlNodePtr root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, YamlNodePtr> anchors_;  // of closed nodes
};

/// yaml-cpp takes the byte 0x04 for the end of the text and recodes UTF-16; both would silently read
/// something else than the user wrote.
void reject_bytes(std::string_view text, const std::shared_ptr<const std::string>& source, bool one_line) {
  std::size_t bad = find_invalid_utf8(text);
  std::string what = "this is not UTF-8 text";
  const auto control = std::find_if(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n' && c != '\t' && c != '\r') || byte == 0x7f;
  });
  const auto control_at = static_cast<std::size_t>(control - text.begin());
  if (control != text.end() && control_at < bad) {
    bad = control_at;
    what = "control characters are not allowed";
  }
  if (bad == std::string_view::npos) return;
  const std::string_view before = text.substr(0, bad);
  const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0: the first line
  const auto column = static_cast<int>(
      std::count_if(before.begin() + static_cast<std::ptrdiff_t>(line_begin), before.end(),
                    [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
  const auto line = static_cast<int>(std::count(before.begin(), before.end(), '\n'));
  const YamlPlace place = one_line ? YamlPlace{source, 0, 0} : YamlPlace{source, line + 1, column + 1};
  TreeBuilder::fail(place, what);
}

}  // namespace

std::string YamlPlace::to_string() const {
  return line > 0 ? fmt::format("{}:{}:{}", *source, line, column) : *source;
}

const YamlEntry* YamlNode::find(std::string_view key) const {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const YamlEntry& entry) { return entry.key == key; });
  return found == entries.end() ? nullptr : &*found;
}

YamlNodePtr parse_yaml(std::string_view text, const std::string& source_name, bool one_line) {
  const auto source = std::make_shared<const std::string>(source_name);
  if (text.size() > kYamlBytesMax) {
    throw InputError(fmt::format("{}: is larger than the {} bytes allowed here", source_name, kYamlBytesMax));
  }
  reject_bytes(text, source, one_line);
  TreeBuilder builder(source, one_line);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    TreeBuilder::fail(builder.place(error.mark), "invalid YAML: " + error.msg);
  }
  if (builder.root() != nullptr) return builder.root();
  auto nothing = std::make_shared<YamlNode>();
  nothing->place = one_line ? YamlPlace{source, 0, 0} : YamlPlace{source, 1, 1};
  return nothing;
}

}  // namespace kvcast
