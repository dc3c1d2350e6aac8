#include "cli/script_engine.h"

#include <js/Array.h>
#include <js/CallAndConstruct.h>
#include <js/CompilationAndEvaluation.h>
#include <js/Conversions.h>
#include <js/Exception.h>
#include <js/Initialization.h>
#include <js/SourceText.h>
#include <jsapi.h>
#include <jsfriendapi.h>

namespace octet::cli {
namespace {

constexpr uint32_t kMostHeap = 2u << 30;

// What Vega asks of its surroundings even when it draws to text.
constexpr const char* kSurroundings =
    "var console = {log() {}, info() {}, warn() {}, error() {}, debug() {}};\n"
    "var setTimeout = function () { return 0; }, clearTimeout = function () {};\n";

const JSClass kGlobalClass = {"global", JSCLASS_GLOBAL_FLAGS, &JS::DefaultGlobalClassOps};

std::string text_of(JSContext* context, JS::HandleValue value) {
  const JS::RootedString string(context, JS::ToString(context, value));
  if (!string) return {};
  const JS::UniqueChars bytes = JS_EncodeStringToUTF8(context, string);
  return bytes ? std::string(bytes.get()) : std::string();
}

Status pending_error(JSContext* context) {
  JS::RootedValue error(context);
  std::string text = "out of memory";
  if (JS_GetPendingException(context, &error)) {
    JS_ClearPendingException(context);
    text = text_of(context, error);
  }
  return internal_error("the charts' script failed: " + text);
}

}  // namespace

struct FigureScript::Engine {
  JSContext* context = nullptr;
  JS::PersistentRootedObject global;

  ~Engine() {
    global.reset();
    if (context != nullptr) JS_DestroyContext(context);
    JS_ShutDown();
  }

  Status begin() {
    JS_Init();
    context = JS_NewContext(kMostHeap);
    if (context == nullptr || !js::UseInternalJobQueues(context) || !JS::InitSelfHostedCode(context))
      return internal_error("SpiderMonkey did not start");
    const JS::RealmOptions options;
    global.init(context, JS_NewGlobalObject(context, &kGlobalClass, nullptr, JS::FireOnNewGlobalHook, options));
    return global ? Status::ok() : internal_error("SpiderMonkey has no memory");
  }

  Status evaluate(const std::string& script, const char* name) {
    const JSAutoRealm realm(context, global);
    JS::CompileOptions options(context);
    options.setFileAndLine(name, 1);
    JS::SourceText<mozilla::Utf8Unit> source;
    JS::RootedValue ignored(context);
    if (!source.init(context, script.data(), script.size(), JS::SourceOwnership::Borrowed) ||
        !JS::Evaluate(context, options, source, &ignored))
      return pending_error(context);
    return Status::ok();
  }

  Result<JS::Value> call(const char* function, const JS::HandleValueArray& arguments) {
    const JSAutoRealm realm(context, global);
    JS::RootedValue result(context);
    const JS::RootedObject object(context, global);
    if (!JS_CallFunctionName(context, object, function, arguments, &result)) return pending_error(context);
    js::RunJobs(context);
    return result.get();
  }

  // Item `index` of the list in a global variable, as text.
  Result<std::string> item(const char* variable, uint32_t index) {
    const JSAutoRealm realm(context, global);
    JS::RootedValue list(context), value(context);
    const JS::RootedObject object(context, global);
    if (!JS_GetProperty(context, object, variable, &list)) return pending_error(context);
    if (!list.isObject()) return internal_error("a chart did not finish");
    const JS::RootedObject array(context, &list.toObject());
    if (!JS_GetElement(context, array, index, &value)) return pending_error(context);
    return text_of(context, value);
  }
};

FigureScript::FigureScript() : engine_(std::make_unique<Engine>()) {}
FigureScript::~FigureScript() = default;

Result<std::unique_ptr<FigureScript>> FigureScript::load(const std::string& script, const std::string& data) {
  std::unique_ptr<FigureScript> figures(new FigureScript);
  Engine& engine = *figures->engine_;
  OCTET_RETURN_IF_ERROR(engine.begin());
  OCTET_RETURN_IF_ERROR(engine.evaluate(kSurroundings, "surroundings"));
  OCTET_RETURN_IF_ERROR(engine.evaluate(script, "charts"));
  const JSAutoRealm realm(engine.context, engine.global);
  const JS::RootedString text(engine.context,
                              JS_NewStringCopyUTF8N(engine.context, JS::UTF8Chars(data.data(), data.size())));
  if (!text) return pending_error(engine.context);
  JS::RootedValueArray<1> arguments(engine.context);
  arguments[0].setString(text);
  OCTET_ASSIGN(const JS::Value count, engine.call("beginFigures", arguments));
  figures->count_ = count.isInt32() ? static_cast<size_t>(count.toInt32()) : 0;
  return figures;
}

Result<DrawnFigure> FigureScript::draw(size_t index, int width) {
  const JSAutoRealm realm(engine_->context, engine_->global);
  JS::RootedValueArray<2> arguments(engine_->context);
  arguments[0].setNumber(static_cast<uint32_t>(index));
  arguments[1].setInt32(width);
  OCTET_RETURN_IF_ERROR(engine_->call("drawFigure", arguments).status());
  DrawnFigure figure;
  OCTET_ASSIGN(figure.name, engine_->item("octetDrawn", 0));
  OCTET_ASSIGN(figure.svg, engine_->item("octetDrawn", 1));
  OCTET_ASSIGN(figure.csv, engine_->item("octetDrawn", 2));
  if (figure.name.empty()) return internal_error("a chart cannot be drawn: " + figure.svg);
  return figure;
}

}  // namespace octet::cli
