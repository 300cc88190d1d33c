#pragma once

#include <memory>
#include <vector>

#include "autograd/op.h"
#include "core/tensor.h"

namespace sparring {

class Node;

/** A tensor with its place on the tape, if it has one. */
class Value {
 public:
  Value() = default;
  Value(Tensor tensor) : tensor_(std::move(tensor)) {}  // NOLINT(google-explicit-constructor): a tensor is a value
  Value(Tensor tensor, std::shared_ptr<Node> node, int output)
      : tensor_(std::move(tensor)), node_(std::move(node)), output_(output) {}

  [[nodiscard]] const Tensor& tensor() const { return tensor_; }
  [[nodiscard]] const Shape& shape() const { return tensor_.shape(); }
  [[nodiscard]] DType dtype() const { return tensor_.dtype(); }
  [[nodiscard]] const std::shared_ptr<Node>& node() const { return node_; }
  [[nodiscard]] int output() const { return output_; }
  /** The same numbers, forgotten by the tape. */
  [[nodiscard]] Value detached() const { return {tensor_}; }

 private:
  Tensor tensor_;
  std::shared_ptr<Node> node_;
  int output_ = 0;
};

using Values = std::vector<Value>;

/** Runs an op (or, while a plan is traced, writes it down) and records it on the tape where a gradient may be wanted. */
Values call(const Op& op, Values inputs, Attributes attributes = {});

/** A value with the same numbers that starts a branch of the tape: something to differentiate by. */
Value watch(const Value& value);

/**
 * Reverse-mode derivative: the cotangents of `outputs` pulled back to `inputs`. A cotangent has the shape of its output
 * with any number of axes in front, the same for all; the results have those axes in front too, so that the K rows of a
 * Jacobian are one pass. With `record`, the pass itself is on the tape and can be differentiated again; with `release`,
 * what the tape kept is freed as the pass goes and cannot be used again. An input that the outputs do not depend on
 * gets zeros.
 */
Values pullback(const Values& outputs, const Values& cotangents, const Values& inputs, bool record, bool release);

/**
 * The same for some examples: `rows`, int32 [R], numbers them along the first axis, which all values between the inputs
 * and the outputs must have in common, and each cotangent has R rows in place of the examples. One example may be named
 * several times, with cotangents of its own.
 */
Values pullbackRows(const Values& outputs, const Values& cotangents, const Values& inputs, const Value& rows);

/** Where a plan writes down the calls of this thread; see plan/. */
class Tracer {
 public:
  virtual ~Tracer() = default;
  virtual void record(const Op& op, const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
                      const Attributes& attributes) = 0;
};
/** The tracer of this thread, if it traces. */
Tracer*& currentTracer();

/** One recorded call, seen from its vjp rule. */
class Vjp {
 public:
  Vjp(Node& node, Values cotangents, std::vector<bool> needed);

  [[nodiscard]] const Attributes& attributes() const;
  /** The value of an input or output that the op said it reads. */
  [[nodiscard]] Value input(int index) const;
  [[nodiscard]] Value output(int index = 0) const;
  [[nodiscard]] const TensorType& inputType(int index) const;
  [[nodiscard]] const TensorType& outputType(int index = 0) const;
  [[nodiscard]] int inputCount() const;
  /** The cotangent of an output: zeros when nothing came back to it. */
  [[nodiscard]] Value cotangent(int index = 0) const;
  /** The axes that the cotangents have in front of their outputs' own. */
  [[nodiscard]] const Shape& lead() const { return lead_; }
  /** Whether the cotangent of this input is asked for. */
  [[nodiscard]] bool needs(int index) const { return needed_[static_cast<size_t>(index)]; }
  /** Hands an input its cotangent, of shape lead + the input's shape. */
  void give(int index, Value cotangent);
  /** The same for a cotangent of the broadcast shape: the axes that the input was stretched over are summed. */
  void giveBroadcast(int index, const Value& cotangent);

  [[nodiscard]] const Values& given() const { return given_; }

 private:
  Node& node_;
  Values cotangents_;
  std::vector<bool> needed_;
  Values given_;
  Shape lead_;
};

}  // namespace sparring
