/** Calls that a plan makes one of: which they are, which stay apart, and that the numbers are those of the ops. */
#include <algorithm>
#include <limits>
#include <string>

#include "plan/plan.h"
#include "test/check.h"
#include "test/tensors.h"

namespace {

using namespace sparring;
using test::randomTensor;
using test::sameBits;

/** What a function of tensors gives when it is run at once and when its plan is run, and the calls of the plan. */
template <class Function>
struct Traced {
  std::vector<Tensor> replayed;
  std::vector<Tensor> eager;
  std::vector<std::string> ops;

  Traced(const std::vector<Tensor>& inputs, const Function& function) {
    const auto apply = [&](const std::vector<Tensor>& tensors) {
      std::vector<Tensor> results;
      for (const Value& value : function(tensors)) results.push_back(value.tensor());
      return results;
    };
    eager = apply(inputs);
    std::vector<Tensor> placeholders;
    placeholders.reserve(inputs.size());
    for (const Tensor& input : inputs) placeholders.push_back(Tensor::placeholder(input.type()));
    std::vector<Tensor> outputs;
    std::vector<Instruction> calls;
    {
      Trace trace;
      outputs = apply(placeholders);
      calls = trace.take();
    }
    Plan plan(std::move(calls), placeholders, outputs);
    replayed = plan.run(inputs);
    for (const Instruction& call : plan.instructions()) ops.emplace_back(call.op->name);
  }

  [[nodiscard]] bool same() const { return std::equal(eager.begin(), eager.end(), replayed.begin(), sameBits); }
  [[nodiscard]] bool has(const std::string& name) const { return std::find(ops.begin(), ops.end(), name) != ops.end(); }
};

Value relu(const Value& x) { return ops::one("relu", {}, x); }

/** With zeros, what is no number, and what is infinite among its numbers. */
Tensor specialTensor(const Shape& shape, DType dtype, uint32_t seed) {
  Tensor result = randomTensor(shape, dtype, seed);
  dispatchFloat(dtype, [&](auto zero) {
    using T = decltype(zero);
    const T specials[] = {T{0}, -T{0}, std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity()};
    for (int64_t i = 0; i < result.size(); i += 7) result.data<T>()[i] = specials[i / 7 % 4];
  });
  return result;
}

TEST(aConvolutionTakesReluAlong) {
  struct Case {
    Shape image, weight;
    std::vector<int64_t> stride, padding;
    bool bias;
  };
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const Case& c : {Case{{2, 1, 28, 28}, {20, 1, 5, 5}, {1, 1}, {0, 0}, true},
                          Case{{3, 20, 12, 12}, {50, 20, 5, 5}, {1, 1}, {0, 0}, false},
                          Case{{5, 3, 13, 11}, {7, 3, 3, 2}, {2, 3}, {1, 0}, true},
                          Case{{17, 2, 6, 5}, {3, 2, 3, 3}, {1, 1}, {1, 1}, true},
                          Case{{2, 17, 9, 10}, {19, 17, 3, 3}, {1, 1}, {1, 1}, true}}) {
      const auto network = [&](const std::vector<Tensor>& in) {
        const Attributes settings{{"stride", c.stride}, {"padding", c.padding}};
        return Values{relu(c.bias ? ops::one("conv2d", settings, in[0], in[1], in[2])
                                  : ops::one("conv2d", settings, in[0], in[1]))};
      };
      for (const Tensor& image : {randomTensor(c.image, dtype, 1), specialTensor(c.image, dtype, 1)}) {
        const Traced traced({image, randomTensor(c.weight, dtype, 2), randomTensor({c.weight[0]}, dtype, 3)}, network);
        CHECK((traced.ops == std::vector<std::string>{"conv2d relu"}));
        CHECK(traced.same());
      }
    }
  }
}

TEST(whatSomebodyElseReadsStaysApart) {
  const std::vector<Tensor> in{randomTensor({2, 1, 6, 6}, DType::float32, 1),
                               randomTensor({3, 1, 3, 3}, DType::float32, 2)};
  const auto staysApart = [&](const auto& function) {
    const Traced traced(in, function);
    CHECK(traced.has("conv2d") && traced.has("relu"));
    CHECK(traced.same());
  };
  using Inputs = const std::vector<Tensor>&;
  staysApart([](Inputs t) {  // another call reads it
    const Value y = ops::one("conv2d", {}, t[0], t[1]);
    return Values{ops::add(relu(y), y)};
  });
  staysApart([](Inputs t) {  // the caller reads it
    const Value y = ops::one("conv2d", {}, t[0], t[1]);
    return Values{relu(y), y};
  });
  staysApart([](Inputs t) {  // relu reads it under another shape
    return Values{relu(ops::reshape(ops::one("conv2d", {}, t[0], t[1]), {2, 48}))};
  });
}

TEST(aConvolutionDoesNotWaitForReluWhileItsWeightChanges) {
  const Tensor weight = randomTensor({3, 1, 3, 3}, DType::float32, 2);
  const Tensor before = ops::affine(weight, 1).tensor();
  const Tensor velocity = ops::affine(weight, 0).tensor();
  const Tensor rate = ops::full({}, 0.5, DType::float64).tensor();
  const Tensor x = randomTensor({2, 1, 6, 6}, DType::float32, 1);
  const Tensor expected = relu(ops::one("conv2d", {}, x, weight)).tensor();
  const Tensor input = Tensor::placeholder(x.type());
  std::vector<Instruction> calls;
  std::vector<Tensor> outputs;
  {
    Trace trace;
    const Value y = ops::one("conv2d", {}, input, weight);
    call(findOp("sgdUpdate"), {weight, before, velocity, rate}, {{"momentum", 0.0}, {"weightDecay", 0.0}});
    outputs = {relu(y).tensor()};
    calls = trace.take();
  }
  Plan plan(std::move(calls), {input}, outputs);
  CHECK(sameBits(plan.run({x})[0], expected));
  CHECK(!sameBits(weight, before));
}

TEST(whatTwoCallsWouldComputeIsComputedOnce) {
  const std::vector<Tensor> in{randomTensor({4, 6}, DType::float32, 1), randomTensor({5, 6}, DType::float32, 2)};
  using Inputs = const std::vector<Tensor>&;
  const auto layer = [](Inputs t) { return ops::one("tanh", {}, ops::one("linear", {}, t[0], t[1])); };
  const auto count = [](const auto& traced, const std::string& name) {
    return std::count(traced.ops.begin(), traced.ops.end(), name);
  };
  const Traced twice(in, [&](Inputs t) { return Values{ops::sum(layer(t), {0}), ops::neg(layer(t))}; });
  CHECK(count(twice, "linear") == 1 && count(twice, "tanh") == 1);
  CHECK(twice.same());
  // The caller's results are tensors of their own.
  const Traced handed(in, [&](Inputs t) { return Values{layer(t), layer(t)}; });
  CHECK(count(handed, "linear") == 1 && count(handed, "tanh") == 2);
  CHECK(handed.same());
  // Other settings, though by a sign alone, and other types are other calls.
  const Traced zeros(in, [](Inputs t) {
    const Value one = ops::affine(t[0], 0, 0.0);
    const Value other = ops::affine(t[0], 0, -0.0);
    return Values{ops::neg(one), ops::neg(other), ops::neg(ops::affine(t[1], 0, 0.0))};
  });
  CHECK(count(zeros, "affine") == 3);
  CHECK(zeros.same());
}

TEST(whatIsWrittenToInBetweenIsComputedAgain) {
  const Tensor weight = randomTensor({5, 6}, DType::float32, 2);
  const Tensor gradient = randomTensor({5, 6}, DType::float32, 3);
  const Tensor velocity = ops::affine(weight, 0).tensor();
  const Tensor rate = ops::full({}, 0.5, DType::float64).tensor();
  const Tensor x = randomTensor({4, 6}, DType::float32, 1);
  const auto layer = [&](const Value& input) { return ops::sum(ops::one("linear", {}, input, weight), {0}); };
  const Tensor before = layer(x).tensor();
  const Tensor input = Tensor::placeholder(x.type());
  std::vector<Instruction> calls;
  std::vector<Tensor> outputs;
  {
    Trace trace;
    outputs.push_back(layer(input).tensor());
    call(findOp("sgdUpdate"), {weight, gradient, velocity, rate}, {{"momentum", 0.0}, {"weightDecay", 0.0}});
    outputs.push_back(layer(input).tensor());
    calls = trace.take();
  }
  Plan plan(std::move(calls), {input}, outputs);
  const std::vector<Tensor> found = plan.run({x});
  CHECK(sameBits(found[0], before));
  CHECK(sameBits(found[1], layer(x).tensor()));
  CHECK(!sameBits(found[0], found[1]));
}

TEST(whatIsWrittenToIsNotShared) {
  // Two accumulators that begin alike.
  const Tensor velocity = ops::affine(randomTensor({3}, DType::float32, 1), 0).tensor();
  const Tensor rate = ops::full({}, 0.5, DType::float64).tensor();
  const Tensor gradient = randomTensor({3}, DType::float32, 2);
  const auto moved = [&](const std::vector<Tensor>& t) {
    const Value one = ops::affine(t[0], 1, 1);
    const Value other = ops::affine(t[0], 1, 1);
    const Tensor still = ops::affine(velocity, 1).tensor();
    call(findOp("sgdUpdate"), {one.tensor(), gradient, still, rate}, {{"momentum", 0.0}, {"weightDecay", 0.0}});
    return Values{ops::neg(one), ops::neg(other)};
  };
  const Traced traced({randomTensor({3}, DType::float32, 3)}, moved);
  CHECK(traced.same());
  CHECK(!sameBits(traced.replayed[0], traced.replayed[1]));
}

TEST(whatACallerHandsInMayBeWhatIsWrittenTo) {
  const Tensor weight = randomTensor({3}, DType::float32, 1);
  const Tensor gradient = randomTensor({3}, DType::float32, 2);
  const Tensor velocity = ops::affine(weight, 0).tensor();
  const Tensor rate = ops::full({}, 0.5, DType::float64).tensor();
  const auto twice = [](const Value& x) { return ops::neg(ops::affine(x, 2)).tensor(); };
  const Tensor before = twice(weight);
  const Tensor input = Tensor::placeholder(weight.type());
  std::vector<Instruction> calls;
  std::vector<Tensor> outputs;
  {
    Trace trace;
    outputs.push_back(twice(input));
    call(findOp("sgdUpdate"), {weight, gradient, velocity, rate}, {{"momentum", 0.0}, {"weightDecay", 0.0}});
    outputs.push_back(twice(input));
    calls = trace.take();
  }
  Plan plan(std::move(calls), {input}, outputs);
  const std::vector<Tensor> found = plan.run({weight});
  CHECK(sameBits(found[0], before));
  CHECK(sameBits(found[1], twice(weight)));
  CHECK(!sameBits(found[0], found[1]));
}

}  // namespace
