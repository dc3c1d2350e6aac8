#include "training/loop/checkpoint.h"

#include <cstring>

#include "base/text.h"
#include "metrics/event_file.h"

namespace octet::training {
namespace {

constexpr std::string_view kMagic = "OCTETCK2";

class Writer {
 public:
  template <class T>
  void number(T v) {
    out_.append(reinterpret_cast<const char*>(&v), sizeof v);
  }
  void text(std::string_view s) {
    number<uint64_t>(s.size());
    out_ += s;
  }
  void optional(const std::optional<double>& v) {
    number<uint8_t>(v.has_value() ? 1 : 0);
    number(v.value_or(0));
  }
  Status tensors(const std::vector<NamedTensor>& list) {
    number<uint64_t>(list.size());
    for (const NamedTensor& t : list) {
      OCTET_ASSIGN(const Tensor host, from_torch(t.tensor.detach().to(at::kCPU).contiguous()));
      text(t.name);
      number<uint8_t>(static_cast<uint8_t>(host.dtype()));
      number<uint64_t>(host.dims().size());
      for (int64_t d : host.dims()) number(d);
      text({host.data<char>(), static_cast<size_t>(host.nbytes())});
    }
    return Status::ok();
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool good() const { return good_; }
  bool at_end() const { return good_ && rest_.empty(); }

  template <class T>
  T number() {
    T v{};
    if (!need(sizeof v)) return v;
    std::memcpy(&v, rest_.data(), sizeof v);
    rest_.remove_prefix(sizeof v);
    return v;
  }
  std::string text() {
    const auto n = number<uint64_t>();
    if (!need(n)) return {};
    std::string s(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return s;
  }
  std::optional<double> optional() {
    const bool has = number<uint8_t>() != 0;
    const auto v = number<double>();
    return has ? std::optional<double>(v) : std::nullopt;
  }
  Status tensors(std::vector<NamedTensor>* out) {
    const auto n = number<uint64_t>();
    for (uint64_t i = 0; i < n && good_; ++i) {
      NamedTensor t;
      t.name = text();
      const auto type = number<uint8_t>();
      const auto rank = number<uint64_t>();
      Dims dims;
      for (uint64_t d = 0; d < rank && good_; ++d) dims.push_back(number<int64_t>());
      const std::string bytes = text();
      if (!good_ || type > static_cast<uint8_t>(DType::kBool)) break;
      OCTET_ASSIGN(const int64_t count, checked_numel(dims));
      const auto dtype = static_cast<DType>(type);
      if (static_cast<uint64_t>(count) * dtype_size(dtype) != bytes.size()) break;
      OCTET_ASSIGN(Tensor host, Tensor::create(dtype, dims));
      std::memcpy(host.raw(), bytes.data(), bytes.size());
      OCTET_ASSIGN(t.tensor, to_torch(host));
      out->push_back(std::move(t));
    }
    good_ = good_ && out->size() == n;
    return Status::ok();
  }

 private:
  bool need(uint64_t n) {
    good_ = good_ && n <= rest_.size();
    return good_;
  }
  std::string_view rest_;
  bool good_ = true;
};

void write_epoch(const EpochRecord& e, Writer* w) {
  w->number<int64_t>(e.epoch);
  w->number(e.step);
  w->number(e.lr);
  w->number(e.train_loss);
  for (const auto& v : {e.val_loss, e.val_top1, e.val_top5, e.val_map50, e.val_map, e.val_miou}) w->optional(v);
  w->number(e.seconds);
  w->number(e.images_per_second);
  w->number<uint8_t>(e.best ? 1 : 0);
}

EpochRecord read_epoch(Reader* r) {
  EpochRecord e;
  e.epoch = static_cast<int>(r->number<int64_t>());
  e.step = r->number<int64_t>();
  e.lr = r->number<double>();
  e.train_loss = r->number<double>();
  e.val_loss = r->optional();
  e.val_top1 = r->optional();
  e.val_top5 = r->optional();
  e.val_map50 = r->optional();
  e.val_map = r->optional();
  e.val_miou = r->optional();
  e.seconds = r->number<double>();
  e.images_per_second = r->number<double>();
  e.best = r->number<uint8_t>() != 0;
  return e;
}

}  // namespace

Result<std::string> encode_checkpoint(const Checkpoint& c) {
  Writer w;
  w.text(c.network);
  w.text(c.recipe);
  for (int64_t v : {c.step, c.optimizer_steps, c.averaged_updates, c.loss_count, int64_t{c.best_epoch}}) w.number(v);
  for (double v : {c.loss_sum, c.seconds, c.best_score}) w.number(v);
  w.number<uint64_t>(c.epochs.size());
  for (const EpochRecord& e : c.epochs) write_epoch(e, &w);
  w.text(c.module);
  w.text(c.best_module);
  OCTET_RETURN_IF_ERROR(w.tensors(c.optimizer));
  OCTET_RETURN_IF_ERROR(w.tensors(c.averaged));
  std::string body = w.take();
  Writer head;
  head.number(crc32c(body));
  return std::string(kMagic) + head.take() + body;
}

Result<Checkpoint> decode_checkpoint(std::string_view bytes) {
  if (!bytes.starts_with(kMagic)) return data_corrupt("this is not a checkpoint of Octet");
  Reader r(bytes.substr(kMagic.size()));
  const auto checksum = r.number<uint32_t>();
  if (!r.good() || crc32c(bytes.substr(kMagic.size() + sizeof checksum)) != checksum)
    return data_corrupt("the checkpoint is damaged: its checksum is wrong");
  Checkpoint c;
  c.network = r.text();
  c.recipe = r.text();
  int64_t best_epoch = 0;
  for (int64_t* v : {&c.step, &c.optimizer_steps, &c.averaged_updates, &c.loss_count, &best_epoch})
    *v = r.number<int64_t>();
  c.best_epoch = static_cast<int>(best_epoch);
  for (double* v : {&c.loss_sum, &c.seconds, &c.best_score}) *v = r.number<double>();
  const auto epochs = r.number<uint64_t>();
  for (uint64_t i = 0; i < epochs && r.good(); ++i) c.epochs.push_back(read_epoch(&r));
  c.module = r.text();
  c.best_module = r.text();
  OCTET_RETURN_IF_ERROR(r.tensors(&c.optimizer));
  OCTET_RETURN_IF_ERROR(r.tensors(&c.averaged));
  if (!r.at_end() || c.step < 0) return data_corrupt("the checkpoint is damaged: its parts do not fit together");
  return c;
}

Status check_belongs(const Checkpoint& c, const std::string& network, const std::string& recipe) {
  if (c.network != network)
    return invalid_argument(
        "the checkpoint is of another network; give another folder, or begin anew without --resume");
  if (c.recipe == recipe) return Status::ok();
  const std::vector<std::string> there = split(c.recipe, '\n'), here = split(recipe, '\n');
  for (size_t i = 0; i < std::min(there.size(), here.size()); ++i)
    if (there[i] != here[i])
      return invalid_argument("the checkpoint was made with '" + there[i] + "' and the recipe now says '" + here[i] +
                              "'; restore it, or begin anew without --resume");
  return invalid_argument("the checkpoint was made with another recipe; begin anew without --resume");
}

}  // namespace octet::training
