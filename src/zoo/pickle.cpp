#include "zoo/pickle.h"

#include <optional>
#include <unordered_map>

#include "zoo/pickle_objects.h"

namespace octet::zoo {
namespace {

using Kind = PickleValue::Kind;

constexpr size_t kMostValues = 2'000'000;
constexpr size_t kLongestGlobal = 512;

class PickleMachine {
 public:
  PickleMachine(std::string_view bytes, size_t begin) : bytes_(bytes), at_(begin) {}

  Result<Pickle> run() {
    for (;;) {
      OCTET_ASSIGN(const std::string_view byte, take(1));
      const auto op = static_cast<uint8_t>(byte[0]);
      if (op == '.') break;
      OCTET_RETURN_IF_ERROR(step(op));
      if (pickle_.values.size() > kMostValues)
        return resource_limit("its pickle has more than " + std::to_string(kMostValues) + " objects");
    }
    OCTET_ASSIGN(pickle_.root, pop());
    pickle_.end = at_;
    return std::move(pickle_);
  }

 private:
  Status malformed(const std::string& why) const {
    return data_corrupt("its pickle is damaged at byte " + std::to_string(at_) + ": " + why);
  }

  // --- bytes

  Result<std::string_view> take(uint64_t n) {
    if (at_ > bytes_.size() || n > bytes_.size() - at_)
      return data_corrupt("its pickle ends in the middle of an instruction, so the file is truncated or damaged");
    const std::string_view part = bytes_.substr(at_, static_cast<size_t>(n));
    at_ += static_cast<size_t>(n);
    return part;
  }
  Result<uint64_t> take_number(size_t width) {
    OCTET_ASSIGN(const std::string_view bytes, take(width));
    uint64_t n = 0;
    for (size_t i = width; i-- > 0;) n = n << 8 | static_cast<uint8_t>(bytes[i]);
    return n;
  }
  Result<std::string_view> take_line() {
    const size_t end = bytes_.substr(0, std::min(bytes_.size(), at_ + kLongestGlobal)).find('\n', at_);
    if (end == std::string_view::npos) return malformed("a name does not end");
    const std::string_view line = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }
  // A length of `width` bytes, then so many bytes.
  Result<std::string_view> take_counted(size_t width) {
    OCTET_ASSIGN(const uint64_t n, take_number(width));
    return take(n);
  }

  // --- stack

  uint32_t make(PickleValue value) {
    pickle_.values.push_back(std::move(value));
    return static_cast<uint32_t>(pickle_.values.size() - 1);
  }
  Status push(PickleValue value) {
    stack_.push_back(make(std::move(value)));
    return Status::ok();
  }
  Status push_number(Kind kind, int64_t number) {
    PickleValue value;
    value.kind = kind;
    value.number = number;
    return push(std::move(value));
  }
  Status push_text(Kind kind, std::string_view text) {
    PickleValue value;
    value.kind = kind;
    value.text = std::string(text);
    return push(std::move(value));
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Result<uint32_t> pop() {
    if (stack_.size() <= floor()) return malformed("it takes more objects than it made");
    const uint32_t id = stack_.back();
    stack_.pop_back();
    return id;
  }
  Result<std::vector<uint32_t>> pop_to_mark() {
    if (marks_.empty()) return malformed("a mark is missing");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<uint32_t> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }
  Result<std::vector<uint32_t>> pop_some(size_t n) {
    std::vector<uint32_t> items(n);
    for (size_t i = n; i-- > 0;) {
      OCTET_ASSIGN(items[i], pop());
    }
    return items;
  }
  // The object under construction, of this kind.
  Result<uint32_t> top(Kind kind, const char* what) {
    if (stack_.size() <= floor()) return malformed("it takes more objects than it made");
    if (pickle_.at(stack_.back()).kind != kind) return malformed(std::string("it adds to what is not a ") + what);
    return stack_.back();
  }

  // --- instructions

  Status step(uint8_t op) {
    if (std::optional<Status> done = number_or_text(op)) return *done;
    if (std::optional<Status> done = container(op)) return *done;
    if (std::optional<Status> done = memo_or_stack(op)) return *done;
    if (std::optional<Status> done = object(op)) return *done;
    constexpr char kHex[] = "0123456789abcdef";
    return unsupported(
        std::string("its pickle uses the instruction 0x") + kHex[op >> 4] + kHex[op & 15] +
        ", which no state dict needs; save the state dict alone: torch.save(model.state_dict(), FILE)");
  }

  Status push_int(size_t width, bool is_signed) {
    OCTET_ASSIGN(const uint64_t n, take_number(width));
    return push_number(Kind::kInt,
                       is_signed ? static_cast<int32_t>(static_cast<uint32_t>(n)) : static_cast<int64_t>(n));
  }
  // Two's complement of any length.
  Status push_long(size_t width) {
    OCTET_ASSIGN(const std::string_view bytes, take_counted(width));
    if (bytes.size() > 8) return push_text(Kind::kLong, bytes);
    uint64_t n = !bytes.empty() && (static_cast<uint8_t>(bytes.back()) & 0x80) != 0 ? ~uint64_t{0} : 0;
    for (size_t i = bytes.size(); i-- > 0;) n = n << 8 | static_cast<uint8_t>(bytes[i]);
    return push_number(Kind::kInt, static_cast<int64_t>(n));
  }
  Status push_counted(Kind kind, size_t width) {
    OCTET_ASSIGN(const std::string_view text, take_counted(width));
    return push_text(kind, kind == Kind::kBytes ? std::string_view() : text);
  }

  std::optional<Status> number_or_text(uint8_t op) {
    switch (op) {
      case 'N': return push_number(Kind::kNone, 0);
      case 0x88: return push_number(Kind::kBool, 1);
      case 0x89: return push_number(Kind::kBool, 0);
      case 'J': return push_int(4, true);
      case 'K': return push_int(1, false);
      case 'M': return push_int(2, false);
      case 0x8a: return push_long(1);
      case 0x8b: return push_long(4);
      case 'G': {
        const Status taken = take(8).status();
        return taken.is_ok() ? push_number(Kind::kFloat, 0) : taken;
      }
      case 'X': return push_counted(Kind::kString, 4);
      case 0x8c: return push_counted(Kind::kString, 1);
      case 0x8d: return push_counted(Kind::kString, 8);
      case 'U': return push_counted(Kind::kString, 1);
      case 'T': return push_counted(Kind::kString, 4);
      case 'C': return push_counted(Kind::kBytes, 1);
      case 'B': return push_counted(Kind::kBytes, 4);
      case 0x8e: return push_counted(Kind::kBytes, 8);
      default: return std::nullopt;
    }
  }

  Status push_container(Kind kind, Result<std::vector<uint32_t>> items) {
    OCTET_RETURN_IF_ERROR(items.status());
    PickleValue value;
    value.kind = kind;
    value.items = std::move(*items);
    return push(std::move(value));
  }
  Status extend(Kind kind, const char* what, Result<std::vector<uint32_t>> items) {
    OCTET_RETURN_IF_ERROR(items.status());
    OCTET_ASSIGN(const uint32_t id, top(kind, what));
    if (kind == Kind::kDict && items->size() % 2 != 0) return malformed("a dict has a key without a value");
    std::vector<uint32_t>& all = pickle_.values[id].items;
    all.insert(all.end(), items->begin(), items->end());
    return Status::ok();
  }

  std::optional<Status> container(uint8_t op) {
    switch (op) {
      case '(': marks_.push_back(stack_.size()); return Status::ok();
      case ')': return push_container(Kind::kTuple, std::vector<uint32_t>());
      case 't': return push_container(Kind::kTuple, pop_to_mark());
      case 0x85: return push_container(Kind::kTuple, pop_some(1));
      case 0x86: return push_container(Kind::kTuple, pop_some(2));
      case 0x87: return push_container(Kind::kTuple, pop_some(3));
      case ']': return push_container(Kind::kList, std::vector<uint32_t>());
      case 'a': return extend(Kind::kList, "list", pop_some(1));
      case 'e': return extend(Kind::kList, "list", pop_to_mark());
      case '}': return push_container(Kind::kDict, std::vector<uint32_t>());
      case 's': return extend(Kind::kDict, "dict", pop_some(2));
      case 'u': return extend(Kind::kDict, "dict", pop_to_mark());
      default: return std::nullopt;
    }
  }

  Status remember(Result<uint64_t> index) {
    OCTET_RETURN_IF_ERROR(index.status());
    if (stack_.size() <= floor()) return malformed("it remembers an object that it did not make");
    memo_[*index] = stack_.back();
    return Status::ok();
  }
  Status recall(Result<uint64_t> index) {
    OCTET_RETURN_IF_ERROR(index.status());
    const auto found = memo_.find(*index);
    if (found == memo_.end()) return malformed("it recalls an object that it did not remember");
    stack_.push_back(found->second);
    return Status::ok();
  }

  std::optional<Status> memo_or_stack(uint8_t op) {
    switch (op) {
      case 0x80: {
        const Result<uint64_t> protocol = take_number(1);
        if (!protocol.is_ok()) return protocol.status();
        if (*protocol < 2 || *protocol > 5)
          return unsupported("its pickle has protocol " + std::to_string(*protocol) + "; 2 to 5 are known");
        return Status::ok();
      }
      case 0x95: return take(8).status();  // the length of a frame; frames only help those who read from a stream
      case 'q': return remember(take_number(1));
      case 'r': return remember(take_number(4));
      case 0x94: return remember(static_cast<uint64_t>(memo_.size()));
      case 'h': return recall(take_number(1));
      case 'j': return recall(take_number(4));
      case '0': return pop().status();
      case '1': return pop_to_mark().status();
      case '2':
        if (stack_.size() <= floor()) return malformed("it copies an object that it did not make");
        stack_.push_back(stack_.back());
        return Status::ok();
      default: return std::nullopt;
    }
  }

  Status push_global(std::string_view module, std::string_view name) {
    const std::string global = std::string(module) + "." + std::string(name);
    OCTET_RETURN_IF_ERROR(check_global(global));
    return push_text(Kind::kGlobal, global);
  }
  Status global_lines() {
    OCTET_ASSIGN(const std::string_view module, take_line());
    OCTET_ASSIGN(const std::string_view name, take_line());
    return push_global(module, name);
  }
  Status global_from_stack() {
    OCTET_ASSIGN(const uint32_t name, pop());
    OCTET_ASSIGN(const uint32_t module, pop());
    if (pickle_.at(module).kind != Kind::kString || pickle_.at(name).kind != Kind::kString)
      return malformed("the name of an object is not a string");
    const std::string first = pickle_.at(module).text, second = pickle_.at(name).text;
    return push_global(first, second);
  }
  Status call() {
    OCTET_ASSIGN(const uint32_t arguments, pop());
    OCTET_ASSIGN(const uint32_t callable, pop());
    OCTET_ASSIGN(const uint32_t made, call_global(pickle_, callable, arguments));
    stack_.push_back(made);
    return Status::ok();
  }
  Status persistent() {
    OCTET_ASSIGN(const uint32_t id, pop());
    OCTET_ASSIGN(PickleValue storage, make_storage(pickle_, id));
    return push(std::move(storage));
  }
  // Attributes of an OrderedDict (PyTorch's _metadata): nothing that a reader of weights needs.
  Status build() {
    OCTET_ASSIGN(const uint32_t state, pop());
    OCTET_RETURN_IF_ERROR(top(Kind::kDict, "dict").status());
    const Kind kind = pickle_.at(state).kind;
    return kind == Kind::kDict || kind == Kind::kTuple || kind == Kind::kNone
               ? Status::ok()
               : malformed("an object has a state of a wrong type");
  }

  std::optional<Status> object(uint8_t op) {
    switch (op) {
      case 'c': return global_lines();
      case 0x93: return global_from_stack();
      case 'R': return call();
      case 'Q': return persistent();
      case 'b': return build();
      default: return std::nullopt;
    }
  }

  std::string_view bytes_;
  size_t at_;
  Pickle pickle_;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, uint32_t> memo_;
};

}  // namespace

Result<Pickle> read_pickle(std::string_view bytes, size_t begin) { return PickleMachine(bytes, begin).run(); }

}  // namespace octet::zoo
