#include "sim/base/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/config_schema.h"
#include "sim/base/error.h"
#include "sim/base/file.h"
#include "sim/base/text.h"
#include "sim/base/yaml_values.h"

namespace kvcast {

/// One mapping and what has been asked of it. A path that the text reaches twice (an alias) has two of these
/// over one node.
struct ConfigState {
  /// A key that some read asked for.
  struct Known {
    std::string key;
    bool read = false;       // false: only has() and its like asked
    std::string value;       // in force, as YAML; empty for the children below
    std::string origin;      // as the dump says it
    bool is_list = false;    // children are elements rather than the one mapping
    bool elsewhere = false;  // another Config reads what is below
    std::vector<std::shared_ptr<ConfigState>> children;
  };

  std::string path;  // dotted; empty at the root
  YamlNodePtr node;  // null: the mapping is absent
  YamlPlace place;   // of the mapping, or of the nearest one around it that is there
  std::vector<Known> known;
  MappingSchema* seen = nullptr;  // where what is asked is noted; null: nowhere

  [[nodiscard]] std::string path_of(std::string_view key) const {
    return path.empty() ? std::string(key) : path + "." + std::string(key);
  }
  [[nodiscard]] std::string inside() const { return path.empty() ? "" : " in " + path; }
  [[nodiscard]] const YamlEntry* find(std::string_view key) const { return node ? node->find(key) : nullptr; }

  /// Kind of a key's value; marks the key as one that exists in the schema.
  std::optional<YamlNode::Kind> asked_kind(std::string_view key) {
    know(key);
    if (seen != nullptr) seen->key(key).asked_for_form = true;
    const YamlEntry* entry = find(key);
    if (entry == nullptr) return std::nullopt;
    return entry->value->kind;
  }

  Known& know(std::string_view key) {
    const auto found = std::find_if(known.begin(), known.end(), [&](const Known& k) { return k.key == key; });
    if (found != known.end()) return *found;
    known.push_back({std::string(key), false, "", "", false, false, {}});
    return known.back();
  }
};

namespace {

using Kind = YamlNode::Kind;

std::string origin_text(Origin origin) {
  switch (origin) {
    case Origin::given:
      return "given";
    case Origin::command_line:
      return "command line";
    case Origin::engine_default:
      return "default";
    case Origin::model_file:
      return "model file";
    case Origin::derived:
      return "derived";
    case Origin::calibration:
      return "calibration";
  }
  return {};
}

std::string read_origin(const YamlPlace& place) {
  return place.line > 0 ? "given at " + place.to_string() : place.to_string();
}

MappingSchema* below(std::unique_ptr<MappingSchema>& place) {
  if (!place) place = std::make_unique<MappingSchema>();
  return place.get();
}

/// Widens `all` to hold `range` too.
template <class Range>
void widen(std::optional<Range>& all, Range range) {
  all = all ? Range{std::min(all->min, range.min), std::max(all->max, range.max)} : range;
}

/// Notes a read in the schema, where one is made. \param form notes the form
template <class Value, class Form, class Show>
void note_read(ConfigState& state, std::string_view key, const std::optional<Value>& fallback,
               const Form& form, const Show& show) {
  if (state.seen == nullptr) return;
  KeySchema& noted = state.seen->key(key);
  form(noted);
  if (!fallback.has_value()) {
    noted.needed = noted.needed || state.find(key) == nullptr;
  } else if (!noted.fallback) {
    noted.fallback = show(*fallback);
  }
}

/// Shared by the typed reads: finds the value, converts it with `read`, records it. An absent key is an error
/// without a fallback.
template <class Value, class Read, class Show>
Value read_scalar(ConfigState& state, std::string_view key, const std::optional<Value>& fallback,
                  const std::string& wanted, const Read& read, const Show& show) {
  auto& known = state.know(key);
  KVCAST_CHECK(known.children.empty());
  const YamlEntry* entry = state.find(key);
  if (entry == nullptr) {
    if (!fallback.has_value()) {
      throw InputError(fmt::format("{}: missing key {}{}; {} is needed", state.place.to_string(), quoted(key),
                                   state.inside(), wanted));
    }
    known.read = true;
    known.value = show(*fallback);
    known.origin = origin_text(Origin::engine_default);
    return *fallback;
  }
  const std::string path = state.path_of(key);
  Value value = read(*entry->value, path);
  known.read = true;
  known.value = show(value);
  known.origin = read_origin(entry->value->place);
  return value;
}

/// Elements of a list, each read by `read(node, path)`.
template <class Read>
auto read_list(const YamlNode& list, const std::string& path, const std::string& wanted, const Read& read) {
  if (list.kind != Kind::sequence)
    fail_at(list.place, path, fmt::format("{} is given, {} is needed", describe(list), wanted));
  std::vector<decltype(read(list, path))> values;
  values.reserve(list.items.size());
  for (std::size_t i = 0; i < list.items.size(); ++i)
    values.push_back(read(*list.items[i], fmt::format("{}.{}", path, i)));
  return values;
}

std::string show_int(std::int64_t value) { return fmt::format("{}", value); }
std::string show_real(double value) { return fmt::format("{}", value); }
std::string show_bool(bool value) { return value ? "true" : "false"; }
std::string show_string(const std::string& value) { return yaml_scalar(value); }

template <class Values, class Show>
std::string show_list(const Values& values, const Show& show) {
  std::string text = "[";
  for (const auto& value : values) text += (text.size() > 1 ? ", " : "") + show(value);
  return text + "]";
}

std::int64_t read_int(ConfigState& state, std::string_view key, IntRange range,
                      std::optional<std::int64_t> fallback) {
  note_read(
      state, key, fallback, [&](KeySchema& noted) { widen(noted.integer, range); }, show_int);
  return read_scalar(
      state, key, fallback, "an integer" + allowed_range(range),
      [&](const YamlNode& node, const std::string& path) {
        return ScalarReader{node, path}.integer(range);
      },
      show_int);
}

double read_real(ConfigState& state, std::string_view key, RealRange range, std::optional<double> fallback) {
  note_read(
      state, key, fallback, [&](KeySchema& noted) { widen(noted.real, range); }, show_real);
  return read_scalar(
      state, key, fallback, "a number" + allowed_range(range),
      [&](const YamlNode& node, const std::string& path) {
        return ScalarReader{node, path}.real(range);
      },
      show_real);
}

std::string read_string(ConfigState& state, std::string_view key,
                        const std::optional<std::string>& fallback) {
  return read_scalar(
      state, key, fallback, "a text",
      [](const YamlNode& node, const std::string& path) {
        return ScalarReader{node, path}.string();
      },
      show_string);
}

void note_text(KeySchema& noted) { noted.text = true; }

}  // namespace

Config::Config(std::shared_ptr<ConfigState> state) : state_(std::move(state)) {}
Config::Config(Config&&) noexcept = default;
Config& Config::operator=(Config&&) noexcept = default;
Config::~Config() = default;

Config Config::from_file(const std::string& path) {
  return from_text(read_file(path, kYamlBytesMax, ExitCode::usage), path);
}

Config Config::from_text(std::string_view text, const std::string& name) {
  auto state = std::make_shared<ConfigState>();
  const YamlNodePtr root = parse_yaml(text, name, /*one_line=*/false);
  state->place = root->place;
  if (root->kind != Kind::null) {
    if (root->kind != Kind::mapping) {
      fail_at(root->place, "", describe(*root) + " is given, a mapping (key: value) is needed");
    }
    state->node = root;
  }
  return Config(std::move(state));
}

Config Config::empty(const std::string& name) {
  auto state = std::make_shared<ConfigState>();
  state->place = {std::make_shared<const std::string>(name), 0, 0};
  return Config(std::move(state));
}

void Config::set(std::string_view dotted_path, std::string_view value) {
  KVCAST_CHECK(state_->path.empty());
  KVCAST_CHECK(state_->known.empty());
  const std::string argument = fmt::format("--set {}={}", dotted_path, value);
  const std::vector<std::string> segments = split_path(dotted_path, argument);
  state_->node = with_value(state_->node, segments, 0, parse_yaml(value, argument, /*one_line=*/true));
}

Config Config::overlaid(std::string_view section, const Config& changes) const {
  KVCAST_CHECK(state_->path.empty());
  auto root = std::make_shared<ConfigState>();
  root->place = state_->place;
  const YamlEntry* entry = state_->find(section);
  const YamlNodePtr mapping = merged(entry != nullptr ? entry->value : nullptr, changes.state_->node);
  root->node = mapping ? with_value(state_->node, {std::string(section)}, 0, mapping) : state_->node;
  return Config(std::move(root));
}

Config Config::without(std::string_view section, std::string_view key) const {
  KVCAST_CHECK(state_->path.empty());
  auto root = std::make_shared<ConfigState>();
  root->place = state_->place;
  root->node = state_->node;
  if (const YamlEntry* entry = state_->find(section); entry != nullptr)
    root->node = with_value(state_->node, {std::string(section)}, 0, without_key(entry->value, key));
  return Config(std::move(root));
}

Config Config::copy_without(std::string_view except) const {
  auto copy = std::make_shared<ConfigState>();
  copy->place = state_->place;
  copy->node = without_key(state_->node, except);
  return Config(std::move(copy));
}

void Config::read_elsewhere(std::string_view key) {
  ConfigState::Known& known = state_->know(key);
  known.read = known.elsewhere = true;
}

bool Config::has(std::string_view key) const {
  state_->know(key);
  if (state_->seen != nullptr) state_->seen->key(key).asked_for_form = true;
  return state_->find(key) != nullptr;
}

bool Config::contains(std::string_view key) const {
  if (state_->seen != nullptr) state_->seen->key(key).asked_for_form = true;
  return state_->find(key) != nullptr;
}

bool Config::is_mapping(std::string_view key) const { return state_->asked_kind(key) == Kind::mapping; }

bool Config::is_sequence(std::string_view key) const { return state_->asked_kind(key) == Kind::sequence; }

std::vector<std::string> Config::keys() const {
  std::vector<std::string> result;
  if (state_->node == nullptr) return result;
  for (const YamlEntry& entry : state_->node->entries) result.push_back(entry.key);
  return result;
}

std::vector<std::string> Config::names() const {
  if (state_->seen != nullptr) state_->seen->open = true;
  return keys();
}

void Config::observe(MappingSchema& schema) {
  KVCAST_CHECK(state_->path.empty());
  KVCAST_CHECK(state_->known.empty());
  state_->seen = &schema;
}

Config Config::child(std::string_view key) {
  ConfigState::Known& known = state_->know(key);
  KVCAST_CHECK(!known.is_list);
  MappingSchema* const seen = state_->seen == nullptr ? nullptr : below(state_->seen->key(key).mapping);
  if (!known.children.empty()) return Config(known.children.front());
  auto child = std::make_shared<ConfigState>();
  child->path = state_->path_of(key);
  child->place = state_->place;
  child->seen = seen;
  if (const YamlEntry* entry = state_->find(key)) {
    const YamlNode& value = *entry->value;
    if (value.kind != Kind::mapping) {
      fail_at(value.place, child->path, describe(value) + " is given, a mapping (key: value) is needed");
    }
    child->node = entry->value;
    child->place = value.place;
  }
  known.read = true;
  known.children.push_back(child);
  return Config(std::move(child));
}

std::vector<Config> Config::children(std::string_view key) {
  ConfigState::Known& known = state_->know(key);
  KVCAST_CHECK(known.is_list || known.children.empty());
  MappingSchema* const seen = state_->seen == nullptr ? nullptr : below(state_->seen->key(key).elements);
  const YamlEntry* entry = state_->find(key);
  if (!known.read && entry != nullptr) {
    const YamlNode& list = *entry->value;
    const std::string path = state_->path_of(key);
    if (list.kind != Kind::sequence)
      fail_at(list.place, path, describe(list) + " is given, a list of mappings is needed");
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      auto child = std::make_shared<ConfigState>();
      child->path = fmt::format("{}.{}", path, i);
      child->node = list.items[i];
      child->place = list.items[i]->place;
      child->seen = seen;
      if (child->node->kind != Kind::mapping) {
        fail_at(child->place, child->path,
                describe(*child->node) + " is given, a mapping (key: value) is needed");
      }
      known.children.push_back(std::move(child));
    }
  }
  known.read = true;
  known.is_list = true;
  std::vector<Config> result;
  for (const auto& child : known.children) result.push_back(Config(child));
  return result;
}

std::int64_t Config::get_int(std::string_view key, IntRange range) {
  return read_int(*state_, key, range, std::nullopt);
}
std::int64_t Config::get_int(std::string_view key, IntRange range, std::int64_t fallback) {
  return read_int(*state_, key, range, fallback);
}
double Config::get_real(std::string_view key, RealRange range) {
  return read_real(*state_, key, range, std::nullopt);
}
double Config::get_real(std::string_view key, RealRange range, double fallback) {
  return read_real(*state_, key, range, fallback);
}

bool Config::get_bool(std::string_view key, bool fallback) {
  note_read(
      *state_, key, std::optional<bool>(fallback), [](KeySchema& noted) { noted.boolean = true; }, show_bool);
  return read_scalar(
      *state_, key, std::optional<bool>(fallback), "true or false",
      [](const YamlNode& node, const std::string& path) {
        return ScalarReader{node, path}.boolean();
      },
      show_bool);
}

std::string Config::get_string(std::string_view key) {
  note_read(*state_, key, std::optional<std::string>{}, note_text, show_string);
  return read_string(*state_, key, std::nullopt);
}
std::string Config::get_string(std::string_view key, std::string_view fallback) {
  note_read(*state_, key, std::optional<std::string>(fallback), note_text, show_string);
  return read_string(*state_, key, std::string(fallback));
}

std::string Config::get_choice(std::string_view key, std::initializer_list<std::string_view> allowed,
                               std::string_view fallback) {
  const auto note_choices = [&](KeySchema& noted) {
    for (const std::string_view name : allowed) {
      if (std::find(noted.choices.begin(), noted.choices.end(), name) == noted.choices.end())
        noted.choices.emplace_back(name);
    }
  };
  note_read(*state_, key, std::optional<std::string>(fallback), note_choices, show_string);
  std::string value = read_string(*state_, key, std::string(fallback));
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
    fail(key, "unknown value " + quoted(value) + known_names(value, {allowed.begin(), allowed.end()}));
  }
  return value;
}

std::vector<double> Config::get_reals(std::string_view key, RealRange range) {
  const std::string wanted = "a list of numbers" + allowed_range(range);
  note_read(
      *state_, key, std::optional<double>{}, [&](KeySchema& noted) { widen(noted.reals, range); }, show_real);
  const auto element = [&](const YamlNode& node, const std::string& path) {
    return ScalarReader{node, path}.real(range);
  };
  return read_scalar(
      *state_, key, std::optional<std::vector<double>>{}, wanted,
      [&](const YamlNode& node, const std::string& path) { return read_list(node, path, wanted, element); },
      [](const std::vector<double>& values) { return show_list(values, show_real); });
}

std::vector<std::string> Config::get_strings(std::string_view key) {
  const std::string wanted = "a list of texts";
  note_read(
      *state_, key, std::optional<bool>{}, [](KeySchema& noted) { noted.texts = true; }, show_bool);
  const auto element = [](const YamlNode& node, const std::string& path) {
    return ScalarReader{node, path}.string();
  };
  return read_scalar(
      *state_, key, std::optional<std::vector<std::string>>{}, wanted,
      [&](const YamlNode& node, const std::string& path) { return read_list(node, path, wanted, element); },
      [](const std::vector<std::string>& values) { return show_list(values, show_string); });
}

std::string Config::where(std::string_view key) const {
  const YamlEntry* entry = key.empty() ? nullptr : state_->find(key);
  return (entry != nullptr ? entry->value->place : state_->place).to_string();
}

void Config::fail(std::string_view key, const std::string& message) const {
  const YamlEntry* entry = key.empty() ? nullptr : state_->find(key);
  fail_at(entry != nullptr ? entry->value->place : state_->place,
          key.empty() ? state_->path : state_->path_of(key), message);
}

void Config::note(std::string_view key, const std::string& value, Origin origin) {
  ConfigState::Known& known = state_->know(key);
  KVCAST_CHECK(known.children.empty());
  known.value = parse_real(value) || value == "true" || value == "false" ? value : yaml_scalar(value);
  known.origin = origin_text(origin);
}

void Config::finish() const {
  if (state_->node == nullptr) return;
  for (const YamlEntry& entry : state_->node->entries) {
    const auto known = std::find_if(state_->known.begin(), state_->known.end(),
                                    [&](const ConfigState::Known& k) { return k.key == entry.key; });
    if (known == state_->known.end() || !known->read) {
      std::vector<std::string> names;
      for (const ConfigState::Known& k : state_->known) {
        if (k.key != entry.key) names.push_back(k.key);
      }
      throw InputError(fmt::format("{}: unknown key {}{}{}", entry.key_place.to_string(), quoted(entry.key),
                                   state_->inside(), known_names(entry.key, names)));
    }
    if (known->elsewhere) continue;
    for (const auto& child : known->children) Config(child).finish();
  }
}

std::string Config::dump() const {
  std::string text;
  const auto append_block = [&](const std::string& block, const std::string& first, const std::string& rest) {
    bool at_first = true;
    for (std::size_t begin = 0; begin < block.size();) {
      const std::size_t end = block.find('\n', begin) + 1;
      text += at_first ? first : rest;
      text += block.substr(begin, end - begin);
      at_first = false;
      begin = end;
    }
  };
  for (const ConfigState::Known& known : state_->known) {
    if (!known.value.empty()) {
      text += fmt::format("{}: {}  # {}\n", yaml_scalar(known.key), known.value, known.origin);
      continue;
    }
    std::vector<std::string> blocks;
    for (const auto& child : known.children) {
      std::string block = Config(child).dump();
      if (!block.empty()) blocks.push_back(std::move(block));
    }
    if (blocks.empty()) continue;
    text += yaml_scalar(known.key) + ":\n";
    for (const std::string& block : blocks)
      append_block(block, known.is_list ? "  - " : "  ", known.is_list ? "    " : "  ");
  }
  return text;
}

}  // namespace kvcast
