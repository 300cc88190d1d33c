/** The tape and plans: derivatives, deep chains, buffers that are shared, runs on other threads. */
#include <thread>

#include "plan/plan.h"
#include "test/check.h"
#include "test/tensors.h"

namespace {

using namespace sparring;
using test::close;
using test::randomTensor;
using test::sameBits;
using test::tensorOf;
using test::valuesOf;

Value cube(const Value& x) { return ops::mul(ops::mul(x, x), x); }

TEST(derivativesOfDerivativesAreRight) {
  const Value x = watch(Value(tensorOf({2}, {2, 3})));
  const Value y = ops::sum(cube(x), {0});
  const Value one = ops::full({}, 1, DType::float32);
  const Value first = pullback({y}, {one}, {x}, true, false)[0];
  CHECK(close(valuesOf(first.tensor()), {12, 27}, 1e-6));
  const Value second = pullback({ops::sum(first, {0})}, {one}, {x}, false, false)[0];
  CHECK(close(valuesOf(second.tensor()), {12, 18}, 1e-6));
}

TEST(severalCotangentsAreOnePass) {
  const Value x = watch(Value(tensorOf({2}, {2, 3})));
  const Value rows = tensorOf({3, 2}, {1, 0, 0, 1, 1, 1});
  const Value pulled = pullback({cube(x)}, {rows}, {x}, false, false)[0];
  CHECK((pulled.shape() == Shape{3, 2}));
  CHECK(close(valuesOf(pulled.tensor()), {12, 0, 0, 27, 12, 27}, 1e-6));
}

TEST(aChainAsDeepAsYouLikeNeedsNoStack) {
  const Value x = watch(Value(tensorOf({1}, {1})));
  Value y = x;
  for (int depth = 0; depth < 50000; depth++) y = ops::neg(y);
  const Value one = ops::full({1}, 1, DType::float32);
  CHECK(valuesOf(pullback({y}, {one}, {x}, false, true)[0].tensor())[0] == 1);
}

TEST(whatTheTapeFreedIsRefused) {
  const Value x = watch(Value(tensorOf({1}, {2})));
  const Value y = cube(x);
  const Value one = ops::full({1}, 1, DType::float32);
  pullback({y}, {one}, {x}, false, true);
  CHECK_FAILS(pullback({y}, {one}, {x}, false, true), ErrorCode::invalidArgument, "freed by an earlier backward pass");
}

/** A small network and its gradient by the input, eager or traced. */
Values network(const Value& input, const Tensor& weight) {
  const Value x = watch(input);
  const Value hidden = ops::one("relu", {}, ops::one("linear", {}, x, weight));
  const Value y = ops::sum(ops::one("tanh", {}, hidden), {0, 1});
  const Value one = ops::full({}, 1, DType::float32);
  return {y.detached(), pullback({y}, {one}, {x}, false, true)[0]};
}

std::shared_ptr<Plan> traced(const TensorType& type, const Tensor& weight) {
  Trace trace;
  const Tensor input = Tensor::placeholder(type);
  const Values outputs = network(input, weight);
  return std::make_shared<Plan>(trace.take(), std::vector{input},
                                std::vector{outputs[0].tensor(), outputs[1].tensor()});
}

TEST(aPlanGivesWhatTheOpsGive) {
  const Tensor weight = randomTensor({7, 5}, DType::float32, 1);
  const auto plan = traced({{3, 5}, DType::float32}, weight);
  for (uint32_t seed = 2; seed < 6; seed++) {
    const Tensor x = randomTensor({3, 5}, DType::float32, seed);
    const std::vector<Tensor> replayed = plan->run({x});
    const Values eager = network(x, weight);
    CHECK(sameBits(replayed[0], eager[0].tensor()));
    CHECK(sameBits(replayed[1], eager[1].tensor()));
    weight.data<float>()[seed] += 1;  // a plan sees the weights as they are now
  }
}

TEST(plansRunOnSeveralThreadsAtOnce) {
  const Tensor weight = randomTensor({64, 300}, DType::float32, 1);
  const TensorType type{{40, 300}, DType::float32};
  const Tensor x = randomTensor(type.shape, type.dtype, 2);
  const Values eager = network(x, weight);
  const auto shared = traced(type, weight);
  const auto work = [&] {
    for (int round = 0; round < 50; round++) {
      if (!sameBits(shared->run({x})[1], eager[1].tensor())) throw std::runtime_error("a run gave another result");
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(3);
  for (int index = 0; index < 3; index++) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
}

TEST(aPlanAllocatesOnlyItsOutputs) {
  const Tensor weight = randomTensor({7, 5}, DType::float32, 1);
  const auto plan = traced({{3, 5}, DType::float32}, weight);
  const Tensor x = randomTensor({3, 5}, DType::float32, 2);
  plan->run({x});
  const size_t before = poolStatistics().allocations;
  for (int round = 0; round < 100; round++) plan->run({x});
  CHECK(poolStatistics().allocations == before);
}

TEST(otherInputsThanTracedAreRefused) {
  const auto plan = traced({{3, 5}, DType::float32}, randomTensor({7, 5}, DType::float32, 1));
  CHECK_FAILS(plan->run({randomTensor({4, 5}, DType::float32, 2)}), ErrorCode::shapeMismatch,
              "input 0 expects float32 [3,5]");
  CHECK_FAILS(plan->run({}), ErrorCode::invalidArgument, "expected 1 inputs");
}

}  // namespace
