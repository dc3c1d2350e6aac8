#include "data/spec_keys.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "base/text.h"

namespace octet {
namespace {

using Values = std::vector<std::string>;

template <class E>
struct Named {
  const char* name;
  E value;
};

constexpr Named<DataKind> kKinds[] = {
    {"idx", DataKind::kIdx}, {"cifar10", DataKind::kCifar10}, {"folder", DataKind::kFolder}, {"npy", DataKind::kNpy},
    {"npz", DataKind::kNpz}, {"yolo", DataKind::kYolo},       {"masks", DataKind::kMasks}};
constexpr Named<ResizeMode> kResizeModes[] = {{"none", ResizeMode::kNone},
                                              {"stretch", ResizeMode::kStretch},
                                              {"shorter_side", ResizeMode::kShorterSide},
                                              {"letterbox_top_left", ResizeMode::kLetterboxTopLeft},
                                              {"letterbox_centre", ResizeMode::kLetterboxCentre}};
constexpr Named<Interpolation> kInterpolations[] = {{"bilinear", Interpolation::kBilinear},
                                                    {"bilinear_opencv", Interpolation::kBilinearOpencv},
                                                    {"nearest", Interpolation::kNearest}};
constexpr Named<ChannelOrder> kOrders[] = {
    {"rgb", ChannelOrder::kRgb}, {"bgr", ChannelOrder::kBgr}, {"gray", ChannelOrder::kGray}};
constexpr Named<Layout> kLayouts[] = {{"nchw", Layout::kNchw}, {"nhwc", Layout::kNhwc}};
constexpr Named<Decoder> kDecoders[] = {
    {"none", Decoder::kNone}, {"yolox", Decoder::kYolox}, {"fastestdet", Decoder::kFastestDet}};

template <class E, size_t N>
const char* name_of(const Named<E> (&table)[N], E value) {
  for (const auto& entry : table)
    if (entry.value == value) return entry.name;
  return "?";
}

template <class E, size_t N>
Result<E> value_of(const Named<E> (&table)[N], const std::string& name) {
  std::vector<std::string> names;
  for (const auto& entry : table) {
    if (to_lower(name) == entry.name) return entry.value;
    names.emplace_back(entry.name);
  }
  return invalid_argument("'" + name + "' is not one of " + join(names, ", ") + "." + did_you_mean(name, names));
}

Status one(const Values& values, std::string* out) {
  if (values.size() != 1) return invalid_argument("expected one value, got " + std::to_string(values.size()));
  *out = values[0];
  return Status::ok();
}

// "0.5", "1e-3" or a fraction such as "1/255".
Result<double> number(const std::string& text) {
  const auto plain = [](std::string_view s, double* v) {
    s = trim(s);
    if (s.starts_with('+')) s.remove_prefix(1);
    const auto [end, code] = std::from_chars(s.data(), s.data() + s.size(), *v);
    return code == std::errc() && end == s.data() + s.size() && std::isfinite(*v);
  };
  const size_t slash = text.find('/');
  double v = 0, divisor = 1;
  const bool good = plain(std::string_view(text).substr(0, slash), &v) &&
                    (slash == std::string::npos || plain(std::string_view(text).substr(slash + 1), &divisor));
  if (!good || divisor == 0)
    return invalid_argument("expected a number or a fraction like 1/255, got '" + text + "'");
  return v / divisor;
}

template <class T>
Result<T> whole(const std::string& text, T least, T most) {
  T v = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (code != std::errc() || end != text.data() + text.size() || v < least || v > most)
    return invalid_argument("expected a whole number from " + std::to_string(least) + " to " + std::to_string(most) +
                            ", got '" + text + "'");
  return v;
}

constexpr int kMostPixels = 16384;

template <auto Field>
Status set_text(DataSpec* s, const Values& v) {
  return one(v, &(s->*Field));
}

template <auto Field>
Status set_pixels(DataSpec* s, const Values& v) {
  std::string text;
  OCTET_RETURN_IF_ERROR(one(v, &text));
  OCTET_ASSIGN(s->preprocess.*Field, whole<int>(text, 1, kMostPixels));
  return Status::ok();
}

template <auto& Table, auto Field>
Status set_choice(DataSpec* s, const Values& v) {
  std::string text;
  OCTET_RETURN_IF_ERROR(one(v, &text));
  OCTET_ASSIGN(s->preprocess.*Field, value_of(Table, text));
  return Status::ok();
}

template <auto Field>
Status set_numbers(DataSpec* s, const Values& v) {
  std::vector<double> numbers;
  for (const std::string& text : v) {
    OCTET_ASSIGN(const double x, number(text));
    numbers.push_back(x);
  }
  s->preprocess.*Field = std::move(numbers);
  return Status::ok();
}

Status set_kind(DataSpec* s, const Values& v) {
  std::string text;
  OCTET_RETURN_IF_ERROR(one(v, &text));
  OCTET_ASSIGN(s->kind, value_of(kKinds, text));
  return Status::ok();
}

Status set_subset(DataSpec* s, const Values& v) {
  std::string text;
  OCTET_RETURN_IF_ERROR(one(v, &text));
  OCTET_ASSIGN(s->subset, whole<int64_t>(text, 0, std::numeric_limits<int64_t>::max()));
  return Status::ok();
}

Status set_seed(DataSpec* s, const Values& v) {
  std::string text;
  OCTET_RETURN_IF_ERROR(one(v, &text));
  OCTET_ASSIGN(s->seed, whole<uint64_t>(text, 0, std::numeric_limits<uint64_t>::max()));
  return Status::ok();
}

Status set_shuffle(DataSpec* s, const Values& v) {
  std::string text;
  OCTET_RETURN_IF_ERROR(one(v, &text));
  const std::string low = to_lower(text);
  s->shuffle = low == "true" || low == "yes" || low == "on" || low == "1";
  if (s->shuffle || low == "false" || low == "no" || low == "off" || low == "0") return Status::ok();
  return invalid_argument("expected true or false, got '" + text + "'");
}

Status set_fill(DataSpec* s, const Values& v) {
  std::string text;
  OCTET_RETURN_IF_ERROR(one(v, &text));
  OCTET_ASSIGN(s->preprocess.fill, whole<int>(text, 0, 255));
  return Status::ok();
}

Status set_crop(DataSpec* s, const Values& v) {
  if (v.empty() || v.size() > 2) return invalid_argument("expected one side or [width, height]");
  OCTET_ASSIGN(s->preprocess.crop_width, whole<int>(v[0], 1, kMostPixels));
  OCTET_ASSIGN(s->preprocess.crop_height, whole<int>(v.back(), 1, kMostPixels));
  return Status::ok();
}

Status set_scale(DataSpec* s, const Values& v) {
  std::string text;
  OCTET_RETURN_IF_ERROR(one(v, &text));
  OCTET_ASSIGN(s->preprocess.scale, number(text));
  return Status::ok();
}

Status set_dtype(DataSpec* s, const Values& v) {
  std::string text;
  OCTET_RETURN_IF_ERROR(one(v, &text));
  s->preprocess.dtype = dtype_from_name(to_lower(text));
  const std::vector<std::string> names = {"float32", "float16", "float64", "uint8", "int8",
                                          "int16",   "uint16",  "int32",   "int64"};
  for (const std::string& name : names)
    if (s->preprocess.dtype == dtype_from_name(name)) return Status::ok();
  return invalid_argument("'" + text + "' is not one of " + join(names, ", ") + "." + did_you_mean(text, names));
}

Status set_decoder(DataSpec* s, const Values& v) {
  std::string text;
  OCTET_RETURN_IF_ERROR(one(v, &text));
  OCTET_ASSIGN(s->detection.decoder, value_of(kDecoders, text));
  return Status::ok();
}

Result<double> fraction_of_one(const Values& v) {
  std::string text;
  OCTET_RETURN_IF_ERROR(one(v, &text));
  OCTET_ASSIGN(const double x, number(text));
  if (x < 0 || x > 1) return invalid_argument("expected a number from 0 to 1, got '" + text + "'");
  return x;
}

Status set_confidence(DataSpec* s, const Values& v) {
  OCTET_ASSIGN(s->detection.confidence, fraction_of_one(v));
  return Status::ok();
}

Status set_nms_iou(DataSpec* s, const Values& v) {
  OCTET_ASSIGN(s->detection.nms_iou, fraction_of_one(v));
  return Status::ok();
}

Status set_max_detections(DataSpec* s, const Values& v) {
  std::string text;
  OCTET_RETURN_IF_ERROR(one(v, &text));
  OCTET_ASSIGN(s->detection.max_detections, whole<int>(text, 1, 100000));
  return Status::ok();
}

struct SpecKey {
  SpecSection section;
  const char* name;
  Status (*set)(DataSpec*, const Values&);
};

constexpr SpecKey kKeys[] = {
    {SpecSection::kTop, "kind", set_kind},
    {SpecSection::kTop, "path", set_text<&DataSpec::path>},
    {SpecSection::kTop, "split", set_text<&DataSpec::split>},
    {SpecSection::kTop, "labels", set_text<&DataSpec::labels>},
    {SpecSection::kTop, "class_names", set_text<&DataSpec::class_names>},
    {SpecSection::kTop, "subset", set_subset},
    {SpecSection::kTop, "seed", set_seed},
    {SpecSection::kTop, "shuffle", set_shuffle},
    {SpecSection::kPreprocess, "resize", set_choice<kResizeModes, &Preprocess::resize>},
    {SpecSection::kPreprocess, "width", set_pixels<&Preprocess::width>},
    {SpecSection::kPreprocess, "height", set_pixels<&Preprocess::height>},
    {SpecSection::kPreprocess, "size", set_pixels<&Preprocess::size>},
    {SpecSection::kPreprocess, "interpolation", set_choice<kInterpolations, &Preprocess::interpolation>},
    {SpecSection::kPreprocess, "fill", set_fill},
    {SpecSection::kPreprocess, "crop", set_crop},
    {SpecSection::kPreprocess, "order", set_choice<kOrders, &Preprocess::order>},
    {SpecSection::kPreprocess, "scale", set_scale},
    {SpecSection::kPreprocess, "mean", set_numbers<&Preprocess::mean>},
    {SpecSection::kPreprocess, "std", set_numbers<&Preprocess::std>},
    {SpecSection::kPreprocess, "layout", set_choice<kLayouts, &Preprocess::layout>},
    {SpecSection::kPreprocess, "dtype", set_dtype},
    {SpecSection::kDetection, "decoder", set_decoder},
    {SpecSection::kDetection, "confidence", set_confidence},
    {SpecSection::kDetection, "nms_iou", set_nms_iou},
    {SpecSection::kDetection, "max_detections", set_max_detections},
};

// Keys that are maps, read by data_spec.cpp itself; listed here for the hints.
constexpr const char* kMapKeys[] = {"inputs", "preprocess", "detection"};

const char* section_name(SpecSection section) {
  if (section == SpecSection::kPreprocess) return "under 'preprocess'";
  return section == SpecSection::kDetection ? "under 'detection'" : "at the top level";
}

}  // namespace

Status set_spec_key(DataSpec* spec, SpecSection section, const std::string& key, const Values& values) {
  const bool any = section == SpecSection::kAny;
  std::vector<std::string> known;
  const SpecKey* elsewhere = nullptr;
  for (const SpecKey& k : kKeys) {
    if (!any && k.section != section) {
      if (key == k.name) elsewhere = &k;
      continue;
    }
    if (key == k.name) return values.empty() ? Status::ok() : k.set(spec, values).at("'" + key + "'");
    known.emplace_back(k.name);
  }
  if (elsewhere != nullptr)
    return invalid_argument("the key '" + key + "' belongs " + section_name(elsewhere->section));
  if (section == SpecSection::kTop) known.insert(known.end(), std::begin(kMapKeys), std::end(kMapKeys));
  std::string hint = did_you_mean(key, known);
  if (hint.empty()) hint = " Known keys: " + join(known, ", ") + ".";
  return invalid_argument("unknown key '" + key + "'." + hint);
}

Result<DataKind> data_kind_from_name(const std::string& name) { return value_of(kKinds, name); }
const char* data_kind_name(DataKind kind) { return name_of(kKinds, kind); }
const char* resize_mode_name(ResizeMode mode) { return name_of(kResizeModes, mode); }
const char* interpolation_name(Interpolation interpolation) { return name_of(kInterpolations, interpolation); }
const char* channel_order_name(ChannelOrder order) { return name_of(kOrders, order); }
const char* layout_name(Layout layout) { return name_of(kLayouts, layout); }

}  // namespace octet
