#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "autograd/op.h"
#include "autograd/tape.h"

namespace sparring {

/** One op call of a plan. Its tensors point into the plan's arena, at the caller's inputs, or at captured tensors. */
struct Instruction {
  const Op* op;
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;
  Attributes attributes;
};

/** While one is alive, op calls on this thread are written down instead of run. */
class Trace : public Tracer {
 public:
  Trace();
  ~Trace() override;
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  void record(const Op& op, const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
              const Attributes& attributes) override;
  [[nodiscard]] std::vector<Instruction> take() { return std::move(instructions_); }

 private:
  std::vector<Instruction> instructions_;
};

/**
 * A traced function: the op calls in order, over buffers that were assigned once. Tensors that were there before the
 * trace (weights, constants, a data set) are captured, not copied: a plan sees their present numbers.
 */
class Plan {
 public:
  /** Of the calls, keeps those that the outputs or a captured tensor depend on. */
  Plan(std::vector<Instruction> calls, std::vector<Tensor> inputs, std::vector<Tensor> outputs);

  /**
   * Replays the calls for these inputs; the outputs are tensors of their own. One run at a time, any thread. With
   * `seconds`, what each call took is put there.
   */
  std::vector<Tensor> run(const std::vector<Tensor>& inputs, std::vector<double>* seconds = nullptr);

  [[nodiscard]] size_t arenaBytes() const { return arena_->bytes(); }
  [[nodiscard]] const std::vector<Instruction>& instructions() const { return instructions_; }

 private:
  void assignBuffers();

  std::mutex running_;
  std::vector<Instruction> instructions_;
  std::vector<Tensor> inputs_;
  std::vector<Tensor> outputs_;
  std::shared_ptr<Storage> arena_;
};

}  // namespace sparring
