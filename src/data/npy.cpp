#include "data/npy.h"

#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

#include "base/text.h"

namespace octet {
namespace {

struct Header {
  std::string descr;
  bool fortran = false;
  Dims shape;
};

// Reads the one-line Python dictionary of the header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  bool parse(Header* out) {
    bool descr = false, order = false, shape = false;
    if (!take('{')) return false;
    while (!take('}')) {
      std::string key;
      if (!quoted(&key) || !take(':')) return false;
      bool* seen = key == "descr" ? &descr : key == "fortran_order" ? &order : key == "shape" ? &shape : nullptr;
      if (seen == nullptr || *seen) return false;
      *seen = key == "descr" ? quoted(&out->descr) : key == "shape" ? tuple(&out->shape) : boolean(&out->fortran);
      if (!*seen) return false;
      if (!take(',') && peek() != '}') return false;
    }
    return descr && order && shape && trim(text_).empty();
  }

 private:
  char peek() {
    text_ = trim(text_);
    return text_.empty() ? '\0' : text_.front();
  }
  bool take(char c) {
    if (peek() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool word(std::string_view w) {
    peek();
    if (!text_.starts_with(w)) return false;
    text_.remove_prefix(w.size());
    return true;
  }
  bool boolean(bool* out) {
    if (word("True")) return *out = true;
    *out = false;
    return word("False");
  }
  bool quoted(std::string* out) {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return false;
    const size_t end = text_.find(quote, 1);
    if (end == std::string_view::npos) return false;
    *out = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return true;
  }
  bool tuple(Dims* out) {
    constexpr size_t kMostAxes = 32;
    if (!take('(')) return false;
    while (!take(')')) {
      peek();
      int64_t v = 0;
      const auto [end, code] = std::from_chars(text_.data(), text_.data() + text_.size(), v);
      if (code != std::errc() || v < 0 || out->size() == kMostAxes) return false;
      out->push_back(v);
      text_.remove_prefix(static_cast<size_t>(end - text_.data()));
      if (!take(',') && peek() != ')') return false;
    }
    return true;
  }

  std::string_view text_;
};

// kUndefined for what we cannot read; *why then says why.
DType dtype_of_descr(const std::string& descr, std::string* why) {
  struct Entry {
    const char* code;
    DType dtype;
  };
  constexpr Entry kEntries[] = {{"f2", DType::kFloat16}, {"f4", DType::kFloat32}, {"f8", DType::kFloat64},
                                {"u1", DType::kUint8},   {"u2", DType::kUint16},  {"u4", DType::kUint32},
                                {"u8", DType::kUint64},  {"i1", DType::kInt8},    {"i2", DType::kInt16},
                                {"i4", DType::kInt32},   {"i8", DType::kInt64},   {"b1", DType::kBool}};
  const char order = descr.empty() ? '\0' : descr[0];
  const std::string code = descr.substr(descr.empty() ? 0 : 1);
  for (const Entry& e : kEntries) {
    if (code != e.code) continue;
    if (order == '<' || order == '=' || (order == '|' && dtype_size(e.dtype) == 1)) return e.dtype;
    *why = "is big-endian ('" + descr + "'); save it as array.astype('<" + code + "')";
    return DType::kUndefined;
  }
  if (code == "O") *why = "holds Python objects, which are never loaded; save a plain numeric array";
  else *why = "has the element type '" + descr + "', which is not read; save it as float32, uint8 or int64";
  return DType::kUndefined;
}

}  // namespace

Result<NpyArray> NpyArray::open(ByteWindow bytes, const std::string& what) {
  constexpr std::array<char, 6> kMagic = {'\x93', 'N', 'U', 'M', 'P', 'Y'};
  constexpr int64_t kLongestHeader = int64_t{1} << 20;
  const Status damaged = data_corrupt(what + " is not a sound .npy array: its header is damaged or truncated");
  std::array<unsigned char, 12> start{};
  if (bytes.length() < 12) return damaged;
  OCTET_RETURN_IF_ERROR(bytes.read(0, start.data(), 12));
  if (std::memcmp(start.data(), kMagic.data(), kMagic.size()) != 0) return damaged;
  const int version = start[6];
  if (version < 1 || version > 3)
    return unsupported(what + " has the unknown .npy version " + std::to_string(version));
  int64_t size = start[8] | start[9] << 8;
  if (version > 1) size |= static_cast<int64_t>(start[10]) << 16 | static_cast<int64_t>(start[11]) << 24;
  const int64_t header_at = version > 1 ? 12 : 10;
  if (size > kLongestHeader || size > bytes.length() - header_at) return damaged;
  std::string text(static_cast<size_t>(size), '\0');
  OCTET_RETURN_IF_ERROR(bytes.read(header_at, text.data(), size));
  if (text.find("'descr': [") != std::string::npos)
    return unsupported(what + " is a structured array; save each of its fields as an array of its own");
  Header header;
  if (!HeaderParser(text).parse(&header)) return damaged;
  NpyArray array(std::move(bytes), what);
  std::string why;
  array.dtype_ = dtype_of_descr(header.descr, &why);
  if (array.dtype_ == DType::kUndefined) return unsupported(what + " " + why);
  array.fortran_ = header.fortran && header.shape.size() > 1;
  if (array.fortran_) array.turned_ = std::make_shared<Turned>();
  array.dims_ = header.shape;
  array.data_at_ = header_at + size;
  Result<int64_t> count = checked_numel(array.dims_);
  if (!count.is_ok()) return count.status().at(what);
  const int64_t present = array.bytes_.length() - array.data_at_;
  const auto element = static_cast<int64_t>(dtype_size(array.dtype_));
  if (present % element != 0 || present / element != *count)
    return data_corrupt(what + " has shape " + dims_to_string(array.dims_) + " of " + dtype_name(array.dtype_) +
                        ", which does not fit its " + std::to_string(present) +
                        " bytes of data; it is truncated or has something appended");
  return array;
}

Result<Tensor> NpyArray::read_row(int64_t index) const {
  if (dims_.empty() || index < 0 || index >= dims_[0])
    return invalid_argument(what_ + " has no row " + std::to_string(index));
  Dims dims(dims_.begin() + 1, dims_.end());
  OCTET_ASSIGN(const int64_t n, checked_numel(dims));
  if (fortran_) {
    OCTET_ASSIGN(const Tensor all, read_fortran());
    OCTET_ASSIGN(Tensor row, Tensor::create(dtype_, std::move(dims)));
    if (row.nbytes() > 0)
      std::memcpy(row.raw(), static_cast<const char*>(all.raw()) + index * row.nbytes(),
                  static_cast<size_t>(row.nbytes()));
    return row;
  }
  return read_elements(index * n * static_cast<int64_t>(dtype_size(dtype_)), std::move(dims));
}

Result<Tensor> NpyArray::read_all() const { return fortran_ ? read_fortran() : read_elements(0, dims_); }

// The first axis runs fastest in the file and slowest in a tensor.
Result<Tensor> NpyArray::read_fortran() const {
  std::call_once(turned_->once, [this] {
    turned_->all = [this]() -> Result<Tensor> {
      OCTET_ASSIGN(const Tensor stored, read_elements(0, dims_));
      OCTET_ASSIGN(Tensor out, Tensor::create(dtype_, dims_));
      const size_t element = dtype_size(dtype_);
      const auto* from = static_cast<const char*>(stored.raw());
      auto* to = static_cast<char*>(out.raw());
      std::vector<int64_t> strides(dims_.size(), 1), at(dims_.size(), 0);  // of the file, in elements
      for (size_t a = 1; a < dims_.size(); ++a) strides[a] = strides[a - 1] * dims_[a - 1];
      int64_t source = 0;
      for (int64_t i = 0; i < out.numel(); ++i) {
        std::memcpy(to + static_cast<size_t>(i) * element, from + static_cast<size_t>(source) * element, element);
        for (size_t a = dims_.size(); a-- > 0;) {
          source += strides[a];
          if (++at[a] < dims_[a]) break;
          source -= strides[a] * dims_[a];
          at[a] = 0;
        }
      }
      return out;
    }();
  });
  return turned_->all;
}

Result<Tensor> NpyArray::read_elements(int64_t first_byte, Dims dims) const {
  Result<Tensor> made = Tensor::create(dtype_, std::move(dims));
  if (!made.is_ok()) return made.status().at(what_);
  Tensor t = std::move(made).value();
  if (t.nbytes() > 0) OCTET_RETURN_IF_ERROR(bytes_.read(data_at_ + first_byte, t.raw(), t.nbytes()));
  if (dtype_ == DType::kBool) {  // any byte but 0 counts as true; C++ must not see 2 in a bool
    auto* b = static_cast<uint8_t*>(t.raw());
    for (int64_t i = 0; i < t.numel(); ++i) b[i] = b[i] != 0 ? 1 : 0;
  }
  return t;
}

}  // namespace octet
