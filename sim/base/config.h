/// Strict typed configuration: YAML read once, every value with its file:line:column and where it came from.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvcast {

/// Where a value came from; printed by --dump-resolved.
enum class Origin { given, command_line, engine_default, model_file, derived, calibration };

/// Bounds of a number, both allowed. The message states them; the type's own limit (or an infinity) means "no
/// bound on this side".
struct IntRange {
  std::int64_t min;
  std::int64_t max;
};
struct RealRange {
  double min;
  double max;
};

struct ConfigState;
struct MappingSchema;

/// Contract: a mapping node of a configuration file. Each typed read marks its key as known and records the
/// value in force; finish() throws on any key that nobody read, with the nearest known name. Reads never fall
/// back silently: a value of the wrong type, out of range or duplicated is an InputError that says
/// file:line:column, what was found and what is allowed.
/// - Integers are plain decimal ("8192"; not 8k, 0x20, 1e3 or "8192" in quotes); reals are finite and may be
/// written as integers;
///   booleans are true and false; strings need no quotes. A key without a value ("block_size:") is an error,
///   not a default.
/// - The `fallback` overloads return the default (recorded with Origin::engine_default) when the key is
/// absent, the others throw.
/// - Reading a key twice is allowed and gives the same value; child() of one key always gives the same
/// mapping.
class Config {
 public:
  /// \throws InputError on YAML syntax errors, duplicate keys, anchors that recurse, files that cannot be
  /// opened or exceed 4 MiB, and
  ///         on what a configuration has no use for: YAML tags, several documents, nesting deeper than 64,
  ///         over 500,000 values
  static Config from_file(const std::string& path);
  static Config from_text(std::string_view text, const std::string& name);
  /// An empty mapping: every read takes its default.
  static Config empty(const std::string& name);

  Config(Config&&) noexcept;
  Config& operator=(Config&&) noexcept;
  ~Config();

  /// Sets a dotted path ("engine.block_size", "workload.mix.0.rate") to a YAML scalar or flow value,
  /// replacing what the file says
  /// (--set). Mappings on the way are made where they are absent; the last of two equal paths wins. Only on
  /// the root, before any read. \throws InputError that names "--set path=value"
  void set(std::string_view dotted_path, std::string_view value);

  /// The same text, unread, with `changes` laid over the mapping at the root's key `section`: mappings are
  /// merged, other values replaced; every value keeps its place. Only on the root.
  [[nodiscard]] Config overlaid(std::string_view section, const Config& changes) const;
  /// The same text, unread, without a key of the mapping at the root's key `section`. Only on the root.
  [[nodiscard]] Config without(std::string_view section, std::string_view key) const;
  /// This mapping as a root of its own: what is read of it below that is told apart from what is read here.
  /// \param except a key that it lacks
  [[nodiscard]] Config copy_without(std::string_view except) const;
  /// The mapping at `key` is read through another Config: finish() has nothing to say of it.
  void read_elsewhere(std::string_view key);

  /// Notes in `schema` what is asked of this mapping and of all below it, from now on. Only on the root,
  /// before any read; `schema` must live as long as this and everything obtained from it.
  void observe(MappingSchema& schema);

  [[nodiscard]] bool has(std::string_view key) const;
  /// The same, without making it a key that messages propose.
  [[nodiscard]] bool contains(std::string_view key) const;
  [[nodiscard]] bool is_mapping(std::string_view key) const;  // has(key) and its value is a mapping
  [[nodiscard]] bool is_sequence(std::string_view key) const;
  /// The keys that are there, in the order of the text.
  [[nodiscard]] std::vector<std::string> keys() const;
  /// The same of a mapping whose keys are names of the user's own: any may be there.
  [[nodiscard]] std::vector<std::string> names() const;
  /// Child mapping; an absent key gives an empty one whose reads take their defaults.
  [[nodiscard]] Config child(std::string_view key);
  /// Elements of a sequence of mappings; none where the key is absent.
  [[nodiscard]] std::vector<Config> children(std::string_view key);

  std::int64_t get_int(std::string_view key, IntRange range);
  std::int64_t get_int(std::string_view key, IntRange range, std::int64_t fallback);
  double get_real(std::string_view key, RealRange range);
  double get_real(std::string_view key, RealRange range, double fallback);
  bool get_bool(std::string_view key, bool fallback);
  std::string get_string(std::string_view key);
  std::string get_string(std::string_view key, std::string_view fallback);
  /// One of a closed set of names; the message lists them.
  std::string get_choice(std::string_view key, std::initializer_list<std::string_view> allowed,
                         std::string_view fallback);
  std::vector<double> get_reals(std::string_view key, RealRange range);
  std::vector<std::string> get_strings(std::string_view key);

  /// "file:line:column" of a key's value (of the mapping itself when key is empty or absent), or "--set
  /// path=value".
  [[nodiscard]] std::string where(std::string_view key = {}) const;
  /// \throws InputError at the value of `key`: "file:line:col: engine.key: message"
  [[noreturn]] void fail(std::string_view key, const std::string& message) const;
  /// Records a value in force that was derived rather than read (shown by the dump), or overwrites how a read
  /// one is shown.
  void note(std::string_view key, const std::string& value, Origin origin);

  /// Checks this mapping and everything obtained from it with child() and children(). Call it on the root
  /// once all is read. \throws InputError naming the first key that no read asked for, and the nearest key
  /// that was
  void finish() const;

  /// Every value in force below this mapping, in the order of the reads, as YAML text that reads back:
  /// "block_size: 16  # default", "... # given at file:line:column", "... # --set engine.block_size=16", "...
  /// # derived".
  [[nodiscard]] std::string dump() const;

 private:
  explicit Config(std::shared_ptr<ConfigState> state);
  std::shared_ptr<ConfigState> state_;
};

}  // namespace kvcast
