/**
 * The engine's face to JavaScript: tensors are numbers that stand for values held here, ops are called by name. One
 * Engine a JavaScript environment, so that worker threads have their own.
 */
#include <napi.h>

#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <unordered_map>
#include <utility>

#include "autograd/tape.h"
#include "core/background.h"
#include "core/blas.h"
#include "core/parallel.h"
#include "plan/plan.h"

namespace sparring {

namespace {

using Handle = int64_t;

class Engine;
class PlanRun;
void settle(Napi::Env env, Napi::Function, Engine* engine, PlanRun* run);

/** Plans that run on other threads, and the way back of what they give to the environment's own. */
class PlanRuns {
 public:
  PlanRuns(Napi::Env env, Engine* engine) : done_(Done::New(env, "sparring:plan", 0, 1, engine)) {
    done_.Unref(env);
    // An environment that ends waits for them: they hold what belongs to it. Its hooks run in the reverse order, so this
    // one before that of the function.
    env.AddCleanupHook([this] {
      std::unique_lock lock(mutex_);
      none_.wait(lock, [&] { return running_ == 0; });
    });
  }

  void start(Napi::Env env, std::unique_ptr<PlanRun> run);

  /** One has come back: without any, Node may end. */
  void arrived(Napi::Env env) {
    if (--awaited_ == 0) done_.Unref(env);
  }

 private:
  using Done = Napi::TypedThreadSafeFunction<Engine, PlanRun, settle>;

  Done done_;
  /** Whose results have not come back yet; of the environment's own thread. */
  int awaited_ = 0;
  /** Whose jobs still use this. */
  int running_ = 0;
  std::mutex mutex_;
  std::condition_variable none_;
};

class Engine {
 public:
  explicit Engine(Napi::Env env) : runs(env, this) {}

  Handle keep(Value value) {
    values_.emplace(++last_, std::move(value));
    return last_;
  }
  const Value& value(Handle handle) const {
    const auto found = values_.find(handle);
    if (found == values_.end()) fail(ErrorCode::disposed, "this tensor has been disposed");
    return found->second;
  }
  void release(Handle handle) { values_.erase(handle); }
  [[nodiscard]] size_t tensors() const { return values_.size(); }

  Handle keepPlan(std::shared_ptr<Plan> plan) {
    plans_.emplace(++last_, std::move(plan));
    return last_;
  }
  std::shared_ptr<Plan> plan(Handle handle) const {
    const auto found = plans_.find(handle);
    if (found == plans_.end()) fail(ErrorCode::disposed, "this plan has been disposed");
    return found->second;
  }
  void releasePlan(Handle handle) { plans_.erase(handle); }

  std::unique_ptr<Trace> trace;
  std::vector<Tensor> traceInputs;
  PlanRuns runs;

  /** Tells V8 how much memory its handles hold on to, so that its collector knows when to look. */
  void reportMemory(Napi::Env env) {
    const auto live = static_cast<int64_t>(poolStatistics().live);
    if (std::abs(live - reported_) < reportStep) return;
    Napi::MemoryManagement::AdjustExternalMemory(env, live - reported_);
    reported_ = live;
  }

 private:
  static constexpr int64_t reportStep = int64_t{8} << 20;

  std::unordered_map<Handle, Value> values_;
  std::unordered_map<Handle, std::shared_ptr<Plan>> plans_;
  Handle last_ = 0;
  int64_t reported_ = 0;
};

Engine& engineOf(Napi::Env env) { return *env.GetInstanceData<Engine>(); }

Napi::Error toJavaScript(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Value().Set("code", Napi::String::New(env, code));
  return error;
}

/** Runs a body and turns what it throws into a JavaScript error with a code. */
template <class Body>
Napi::Value guarded(const Napi::CallbackInfo& info, const Body& body) {
  const Napi::Env env = info.Env();
  const auto raise = [&](ErrorCode code, const std::string& message) {
    // A value of the wrong kind has thrown on its own; a second exception on top of it would end the process.
    if (env.IsExceptionPending()) env.GetAndClearPendingException();
    toJavaScript(env, errorCodeName(code), message).ThrowAsJavaScriptException();
  };
  try {
    return body(env, engineOf(env));
  } catch (const Error& error) {
    raise(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    raise(ErrorCode::outOfMemory, "out of memory");
  } catch (const std::exception& error) {
    raise(ErrorCode::internal, error.what());
  }
  return env.Undefined();
}

// ---- reading arguments --------------------------------------------------------------------------------------------

Handle handleOf(const Napi::Value& value) { return value.As<Napi::Number>().Int64Value(); }

std::vector<int64_t> numbersOf(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  std::vector<int64_t> result(array.Length());
  for (uint32_t index = 0; index < array.Length(); index++)
    result[index] = Napi::Value(array[index]).As<Napi::Number>().Int64Value();
  return result;
}

Values valuesOf(const Engine& engine, const Napi::Value& handles) {
  Values result;
  for (const Handle handle : numbersOf(handles)) result.push_back(engine.value(handle));
  return result;
}

DType dtypeOf(const Napi::Value& value) { return static_cast<DType>(value.As<Napi::Number>().Int32Value()); }

TensorType typeOf(const Napi::Value& shape, const Napi::Value& dtype) {
  const std::vector<int64_t> lengths = numbersOf(shape);
  return {Shape(std::span(lengths)), dtypeOf(dtype)};
}

Attributes attributesOf(const Napi::Value& value) {
  Attributes attributes;
  if (!value.IsObject()) return attributes;
  const auto object = value.As<Napi::Object>();
  const Napi::Array names = object.GetPropertyNames();
  for (uint32_t index = 0; index < names.Length(); index++) {
    const Napi::Value name = names[index];
    const Napi::Value entry = object.Get(name);
    if (entry.IsUndefined()) continue;
    const std::string key = name.As<Napi::String>().Utf8Value();
    if (entry.IsNumber()) {
      attributes.set(key, entry.As<Napi::Number>().DoubleValue());
    } else if (entry.IsBoolean()) {
      attributes.set(key, entry.As<Napi::Boolean>().Value());
    } else if (entry.IsString()) {
      attributes.set(key, entry.As<Napi::String>().Utf8Value());
    } else if (entry.IsArray()) {
      attributes.set(key, numbersOf(entry));
    } else {
      fail(ErrorCode::invalidArgument, key, ": expected a number, boolean, string or list of whole numbers");
    }
  }
  return attributes;
}

// ---- giving results ---------------------------------------------------------------------------------------------

Napi::Array lengthsOf(Napi::Env env, const Shape& shape) {
  Napi::Array lengths = Napi::Array::New(env, static_cast<size_t>(shape.rank()));
  for (int axis = 0; axis < shape.rank(); axis++)
    lengths[static_cast<uint32_t>(axis)] = static_cast<double>(shape[axis]);
  return lengths;
}

/** A new handle as { id, dtype, shape }. */
Napi::Object describe(Napi::Env env, Engine& engine, Value value) {
  Napi::Object result = Napi::Object::New(env);
  result["dtype"] = static_cast<int>(value.dtype());
  result["shape"] = lengthsOf(env, value.shape());
  result["id"] = static_cast<double>(engine.keep(std::move(value)));
  return result;
}

Napi::Array describeAll(Napi::Env env, Engine& engine, const Values& values) {
  Napi::Array result = Napi::Array::New(env, values.size());
  for (size_t index = 0; index < values.size(); index++)
    result[static_cast<uint32_t>(index)] = describe(env, engine, values[index]);
  engine.reportMemory(env);
  return result;
}

// ---- tensors ----------------------------------------------------------------------------------------------------

/** create(shape, dtype, typedArray) */
Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    const TensorType type = typeOf(info[0], info[1]);
    const auto data = info[2].As<Napi::TypedArray>();
    if (data.ByteLength() != type.bytes()) {
      fail(ErrorCode::shapeMismatch, "tensor: expected ", type.shape.size(), " values for shape ", type.shape,
           ", received ", data.ElementLength());
    }
    const Tensor tensor = Tensor::allocate(type);
    std::memcpy(tensor.bytesData(), static_cast<const std::byte*>(data.ArrayBuffer().Data()) + data.ByteOffset(),
                type.bytes());
    engine.reportMemory(env);
    return describe(env, engine, tensor);
  });
}

/** read(id, typedArray): copies the numbers out. */
Napi::Value read(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    const Tensor& tensor = engine.value(handleOf(info[0])).tensor();
    if (tensor.storage()->isPlaceholder()) {
      fail(ErrorCode::notTraceable,
           "data: a traced function runs later; its tensors have no numbers to read while it is traced");
    }
    const auto data = info[1].As<Napi::TypedArray>();
    if (data.ByteLength() != tensor.bytes())
      fail(ErrorCode::internal, "read: expected an array of ", tensor.bytes(), " bytes");
    std::memcpy(static_cast<std::byte*>(data.ArrayBuffer().Data()) + data.ByteOffset(), tensor.bytesData(),
                tensor.bytes());
    return env.Undefined();
  });
}

/** write(id, typedArray): replaces the numbers in place. */
Napi::Value write(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    const Tensor& tensor = engine.value(handleOf(info[0])).tensor();
    const auto data = info[1].As<Napi::TypedArray>();
    if (data.ByteLength() != tensor.bytes())
      fail(ErrorCode::internal, "write: expected an array of ", tensor.bytes(), " bytes");
    std::memcpy(tensor.bytesData(), static_cast<const std::byte*>(data.ArrayBuffer().Data()) + data.ByteOffset(),
                tensor.bytes());
    return env.Undefined();
  });
}

/** detach(id): another handle to the same numbers, of which the tape knows nothing. */
Napi::Value detach(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    return describe(env, engine, engine.value(handleOf(info[0])).detached());
  });
}

Napi::Value release(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    engine.release(handleOf(info[0]));
    engine.reportMemory(env);
    return env.Undefined();
  });
}

/** call(op, ids, attributes) */
Napi::Value callOp(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    const Op& op = findOp(info[0].As<Napi::String>().Utf8Value());
    return describeAll(env, engine, call(op, valuesOf(engine, info[1]), attributesOf(info[2])));
  });
}

// ---- derivatives ------------------------------------------------------------------------------------------------

Napi::Value watchValue(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    return describe(env, engine, watch(engine.value(handleOf(info[0]))));
  });
}

/** pullback(outputs, cotangents, inputs, record, release, rows?): with rows, an index tensor, of those examples only. */
Napi::Value pullBack(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    if (info[5].IsNumber()) {
      return describeAll(env, engine,
                         pullbackRows(valuesOf(engine, info[0]), valuesOf(engine, info[1]), valuesOf(engine, info[2]),
                                      engine.value(handleOf(info[5]))));
    }
    return describeAll(env, engine,
                       pullback(valuesOf(engine, info[0]), valuesOf(engine, info[1]), valuesOf(engine, info[2]),
                                info[3].ToBoolean().Value(), info[4].ToBoolean().Value()));
  });
}

// ---- plans ------------------------------------------------------------------------------------------------------

/** traceBegin([[shape, dtype], ...]): starts a trace; the inputs' stand-ins. */
Napi::Value traceBegin(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    auto trace = std::make_unique<Trace>();
    engine.traceInputs.clear();
    const auto types = info[0].As<Napi::Array>();
    Values inputs;
    for (uint32_t index = 0; index < types.Length(); index++) {
      const auto type = Napi::Value(types[index]).As<Napi::Array>();
      engine.traceInputs.push_back(Tensor::placeholder(typeOf(type[0U], type[1U])));
      inputs.emplace_back(engine.traceInputs.back());
    }
    engine.trace = std::move(trace);
    return describeAll(env, engine, inputs);
  });
}

Trace& tracing(const Engine& engine) {
  if (engine.trace == nullptr) fail(ErrorCode::notTraceable, "plan: no trace is under way");
  return *engine.trace;
}

/** loopBegin(), loopLimit(rows, count), loopEnd(): a stretch of the trace that is repeated; see plan/. */
Napi::Value loopBegin(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    tracing(engine).beginLoop();
    return env.Undefined();
  });
}

Napi::Value loopLimit(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    std::vector<Tensor> rows;
    for (const Value& value : valuesOf(engine, info[0])) rows.push_back(value.tensor());
    tracing(engine).limitLoop(rows, engine.value(handleOf(info[1])).tensor());
    return env.Undefined();
  });
}

Napi::Value loopEnd(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    tracing(engine).endLoop();
    return env.Undefined();
  });
}

/** traceEnd(outputs): ends it; the plan's handle. Without outputs the trace is given up. */
Napi::Value traceEnd(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    const std::unique_ptr<Trace> trace = std::move(engine.trace);
    const std::vector<Tensor> inputs = std::move(engine.traceInputs);
    if (!info[0].IsArray()) return env.Undefined();
    std::vector<Tensor> outputs;
    for (const Value& output : valuesOf(engine, info[0])) outputs.push_back(output.tensor());
    const auto plan = std::make_shared<Plan>(trace->take(), inputs, outputs);
    return Napi::Number::New(env, static_cast<double>(engine.keepPlan(plan)));
  });
}

std::vector<Tensor> tensorsOf(const Engine& engine, const Napi::Value& handles) {
  std::vector<Tensor> result;
  for (const Value& value : valuesOf(engine, handles)) {
    if (value.tensor().storage()->isPlaceholder())
      fail(ErrorCode::notTraceable, "plan: a traced function cannot run a plan");
    result.push_back(value.tensor());
  }
  return result;
}

/** planRunSync(plan, ids) */
Napi::Value planRunSync(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    const std::vector<Tensor> outputs = engine.plan(handleOf(info[0]))->run(tensorsOf(engine, info[1]));
    return describeAll(env, engine, {outputs.begin(), outputs.end()});
  });
}

/** A plan's run on another thread, so that the event loop stays free. */
class PlanRun {
 public:
  PlanRun(Napi::Env env, std::shared_ptr<Plan> plan, std::vector<Tensor> inputs)
      : deferred_(Napi::Promise::Deferred::New(env)), plan_(std::move(plan)), inputs_(std::move(inputs)) {}

  [[nodiscard]] Napi::Promise promise() const { return deferred_.Promise(); }

  /** On that thread. */
  void execute() noexcept {
    try {
      outputs_ = plan_->run(inputs_);
    } catch (const Error& error) {
      failure_ = {errorCodeName(error.code()), error.what()};
    } catch (const std::exception& error) {
      failure_ = {errorCodeName(ErrorCode::internal), error.what()};
    }
  }

  /** Back on the thread that asked. */
  void settle(Napi::Env env, Engine& engine) const {
    if (failure_) {
      deferred_.Reject(toJavaScript(env, failure_->first, failure_->second).Value());
    } else {
      deferred_.Resolve(describeAll(env, engine, {outputs_.begin(), outputs_.end()}));
    }
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::shared_ptr<Plan> plan_;
  std::vector<Tensor> inputs_;
  std::vector<Tensor> outputs_;
  std::optional<std::pair<const char*, std::string>> failure_;
};

void PlanRuns::start(Napi::Env env, std::unique_ptr<PlanRun> run) {
  {
    const std::lock_guard counting(mutex_);  // the job comes to its end after it is counted
    runInBackground([this, run = run.get()] {
      run->execute();
      done_.BlockingCall(run);
      const std::lock_guard lock(mutex_);
      if (--running_ == 0) none_.notify_all();
    });
    running_++;
  }
  if (awaited_++ == 0) done_.Ref(env);
  static_cast<void>(run.release());  // settle's now
}

void settle(Napi::Env env, Napi::Function, Engine* engine, PlanRun* run) {
  const std::unique_ptr<PlanRun> owned(run);
  // No environment: it ends, and nobody waits for the promise any more.
  if (env == nullptr) return;
  engine->runs.arrived(env);
  run->settle(env, *engine);
}

/** planRun(plan, ids): a promise. */
Napi::Value planRun(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    auto run = std::make_unique<PlanRun>(env, engine.plan(handleOf(info[0])), tensorsOf(engine, info[1]));
    const Napi::Promise promise = run->promise();
    engine.runs.start(env, std::move(run));
    return promise;
  });
}

Napi::Value planRelease(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    engine.releasePlan(handleOf(info[0]));
    return env.Undefined();
  });
}

/** planProfile(plan, ids): runs it on this thread; what each op made and took, in order. */
Napi::Value planProfile(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    const auto plan = engine.plan(handleOf(info[0]));
    std::vector<double> seconds;
    plan->run(tensorsOf(engine, info[1]), &seconds);
    Napi::Array result = Napi::Array::New(env, seconds.size());
    for (size_t at = 0; at < seconds.size(); at++) {
      const Instruction& call = plan->instructions()[at];
      const Tensor& shaped = call.outputs.empty() ? call.inputs[0] : call.outputs[0];
      Napi::Object entry = Napi::Object::New(env);
      entry["op"] = call.op->name;
      entry["seconds"] = seconds[at];
      entry["shape"] = lengthsOf(env, shaped.shape());
      entry["flops"] = call.op->flops == nullptr ? 0 : call.op->flops(call.inputs, call.outputs, call.attributes);
      result[static_cast<uint32_t>(at)] = entry;
    }
    return result;
  });
}

/** planInfo(plan): its arena's bytes and the names of its ops in order. */
Napi::Value planInfo(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    const auto plan = engine.plan(handleOf(info[0]));
    Napi::Object result = Napi::Object::New(env);
    Napi::Array ops = Napi::Array::New(env, plan->instructions().size());
    for (size_t at = 0; at < plan->instructions().size(); at++)
      ops[static_cast<uint32_t>(at)] = plan->instructions()[at].op->name;
    result["ops"] = ops;
    result["arenaBytes"] = static_cast<double>(plan->arenaBytes());
    return result;
  });
}

// ---- the machine --------------------------------------------------------------------------------------------------

Napi::Value memory(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine& engine) -> Napi::Value {
    const PoolStatistics statistics = poolStatistics();
    Napi::Object result = Napi::Object::New(env);
    result["tensors"] = static_cast<double>(engine.tensors());
    result["bytes"] = static_cast<double>(statistics.live);
    result["peakBytes"] = static_cast<double>(statistics.peak);
    result["cachedBytes"] = static_cast<double>(statistics.cached);
    result["allocations"] = static_cast<double>(statistics.allocations);
    return result;
  });
}

Napi::Value trim(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine&) -> Napi::Value {
    trimPool();
    return env.Undefined();
  });
}

Napi::Value threads(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine&) -> Napi::Value {
    if (info[0].IsNumber()) setThreadCount(info[0].As<Napi::Number>().Int32Value());
    return Napi::Number::New(env, threadCount());
  });
}

const char* simd() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return "avx512";
  if (__builtin_cpu_supports("avx2")) return "avx2";
  return "sse2";
#elif defined(__aarch64__)
  return "neon";
#else
  return "generic";
#endif
}

Napi::Value machine(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine&) -> Napi::Value {
    const BlasInfo blas = blasInfo();
    Napi::Object result = Napi::Object::New(env);
    result["blas"] = blas.config;
    result["blasCore"] = blas.core;
    result["blasThreading"] = blas.parallel;
    result["threads"] = threadCount();
    result["simd"] = simd();
    result["compiler"] = __VERSION__;
    return result;
  });
}

/** ops(): all registered ops, with whether they can be differentiated and whether they write to an input. */
Napi::Value ops(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env, Engine&) -> Napi::Value {
    Napi::Array result = Napi::Array::New(env);
    for (const Op* op : allOps()) {
      Napi::Object entry = Napi::Object::New(env);
      entry["name"] = op->name;
      entry["differentiable"] = op->differentiate != nullptr;
      entry["inPlace"] = op->writesInputs != 0;
      result[result.Length()] = entry;
    }
    return result;
  });
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Engine(env));
  const auto add = [&](const char* name, auto function) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("create", create);
  add("read", read);
  add("write", write);
  add("detach", detach);
  add("release", release);
  add("call", callOp);
  add("watch", watchValue);
  add("pullback", pullBack);
  add("traceBegin", traceBegin);
  add("loopBegin", loopBegin);
  add("loopLimit", loopLimit);
  add("loopEnd", loopEnd);
  add("traceEnd", traceEnd);
  add("planRun", planRun);
  add("planRunSync", planRunSync);
  add("planRelease", planRelease);
  add("planInfo", planInfo);
  add("planProfile", planProfile);
  add("memory", memory);
  add("trim", trim);
  add("threads", threads);
  add("machine", machine);
  add("ops", ops);
  return exports;
}

}  // namespace

}  // namespace sparring

Napi::Object initializeSparring(Napi::Env env, Napi::Object exports) { return sparring::initialize(env, exports); }
NODE_API_MODULE(sparring, initializeSparring)
