#include "workloads/bytes.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{64} << 10;

[[noreturn]] void unreadable(const std::string& name, const std::string& why) {
  throw InputError(name + ": " + why, ExitCode::bad_data);
}

class FileBytes final : public ByteSource {
 public:
  explicit FileBytes(std::string path) : path_(std::move(path)), file_(std::fopen(path_.c_str(), "rb")) {
    if (file_ == nullptr) unreadable(path_, "cannot open: " + std::generic_category().message(errno));
  }
  std::size_t read(char* to, std::size_t size) override {
    const std::size_t count = std::fread(to, 1, size, file_.get());
    if (count == 0 && std::ferror(file_.get()) != 0) {
      unreadable(path_, "cannot read: " + std::generic_category().message(errno));
    }
    return count;
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

class MemoryBytes final : public ByteSource {
 public:
  explicit MemoryBytes(std::shared_ptr<const std::string> bytes) : bytes_(std::move(bytes)) {}
  std::size_t read(char* to, std::size_t size) override {
    const std::size_t count = bytes_->copy(to, size, at_);
    at_ += count;
    return count;
  }

 private:
  std::shared_ptr<const std::string> bytes_;
  std::size_t at_ = 0;
};

/// Gives back the bytes that were read ahead to tell the compression.
class Rewound final : public ByteSource {
 public:
  Rewound(std::string ahead, std::unique_ptr<ByteSource> rest)
      : ahead_(std::move(ahead)), rest_(std::move(rest)) {}
  std::size_t read(char* to, std::size_t size) override {
    if (at_ == ahead_.size()) return rest_->read(to, size);
    const std::size_t count = std::min(size, ahead_.size() - at_);
    std::memcpy(to, ahead_.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  std::string ahead_;
  std::size_t at_ = 0;
  std::unique_ptr<ByteSource> rest_;
};

/// Any number of gzip members one after the other, as gzip itself reads them.
class GzipBytes final : public ByteSource {
 public:
  GzipBytes(std::string name, std::unique_ptr<ByteSource> from)
      : name_(std::move(name)), from_(std::move(from)), input_(kChunkBytes) {
    constexpr int kGzipOnly = 16;
    KVCAST_CHECK(inflateInit2(&stream_, MAX_WBITS + kGzipOnly) == Z_OK);
  }
  GzipBytes(const GzipBytes&) = delete;
  GzipBytes& operator=(const GzipBytes&) = delete;
  ~GzipBytes() override { inflateEnd(&stream_); }

  std::size_t read(char* to, std::size_t size) override {
    const auto wanted = static_cast<uInt>(std::min(size, kChunkBytes));
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = wanted;
    while (stream_.avail_out == wanted) {
      if (stream_.avail_in == 0 && !refill()) {
        if (in_member_) unreadable(name_, "the gzip stream ends early: the file is cut off");
        return 0;
      }
      step();
    }
    return wanted - stream_.avail_out;
  }

 private:
  bool refill() {
    const std::size_t count = from_->read(input_.data(), input_.size());
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(count);
    return count != 0;
  }
  void step() {
    in_member_ = true;
    const int status = inflate(&stream_, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      in_member_ = false;
      KVCAST_CHECK(inflateReset(&stream_) == Z_OK);
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      unreadable(name_, "the gzip stream is damaged");
    }
  }

  std::string name_;
  std::unique_ptr<ByteSource> from_;
  std::vector<char> input_;
  z_stream stream_{};
  bool in_member_ = true;
};

/// Any number of zstd frames one after the other.
class ZstdBytes final : public ByteSource {
 public:
  ZstdBytes(std::string name, std::unique_ptr<ByteSource> from)
      : name_(std::move(name)), from_(std::move(from)), input_(kChunkBytes), stream_(ZSTD_createDStream()) {
    KVCAST_CHECK(stream_ != nullptr);
  }

  std::size_t read(char* to, std::size_t size) override {
    ZSTD_outBuffer out{to, size, 0};
    while (out.pos == 0) {
      if (in_.pos == in_.size && !refill()) {
        if (in_frame_) unreadable(name_, "the zstd stream ends early: the file is cut off");
        return 0;
      }
      const std::size_t status = ZSTD_decompressStream(stream_.get(), &out, &in_);
      if (ZSTD_isError(status) != 0) unreadable(name_, "the zstd stream is damaged");
      in_frame_ = status != 0;
    }
    return out.pos;
  }

 private:
  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  bool refill() {
    const std::size_t count = from_->read(input_.data(), input_.size());
    in_ = {input_.data(), count, 0};
    return count != 0;
  }

  std::string name_;
  std::unique_ptr<ByteSource> from_;
  std::vector<char> input_;
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool in_frame_ = true;
};

std::string read_up_to(ByteSource& bytes, std::size_t size) {
  std::string result(size, '\0');
  std::size_t filled = 0;
  while (filled < size) {
    const std::size_t count = bytes.read(result.data() + filled, size - filled);
    if (count == 0) break;
    filled += count;
  }
  result.resize(filled);
  return result;
}

std::unique_ptr<ByteSource> decompressed(const std::string& name, std::unique_ptr<ByteSource> raw) {
  constexpr std::string_view kGzipMagic = "\x1f\x8b";
  constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";
  std::string head = read_up_to(*raw, kZstdMagic.size());
  const bool gzip = head.starts_with(kGzipMagic);
  const bool zstd = head.starts_with(kZstdMagic);
  std::unique_ptr<ByteSource> all = std::make_unique<Rewound>(std::move(head), std::move(raw));
  if (gzip) return std::make_unique<GzipBytes>(name, std::move(all));
  if (zstd) return std::make_unique<ZstdBytes>(name, std::move(all));
  return all;
}

}  // namespace

TraceFile file_on_disk(const std::string& path) {
  return {path, [path] { return decompressed(path, std::make_unique<FileBytes>(path)); }};
}

TraceFile file_in_memory(const std::string& name, std::string bytes) {
  auto shared = std::make_shared<const std::string>(std::move(bytes));
  return {name, [name, shared] { return decompressed(name, std::make_unique<MemoryBytes>(shared)); }};
}

std::string content_of(const TraceFile& file, std::size_t bytes_max) {
  const std::unique_ptr<ByteSource> bytes = file.open();
  std::string content;
  std::vector<char> chunk(kChunkBytes);
  while (const std::size_t count = bytes->read(chunk.data(), chunk.size())) {
    content.append(chunk.data(), count);
    if (content.size() > bytes_max)
      unreadable(file.name, "larger than " + std::to_string(bytes_max >> 20) + " MiB");
  }
  return content;
}

std::string head_of(const TraceFile& file, std::size_t size) { return read_up_to(*file.open(), size); }

}  // namespace kvcast
