#include "autograd/tape.h"

#include <algorithm>
#include <ranges>
#include <unordered_map>

namespace sparring {

/** One call on the tape: what it was, where its inputs came from, and the values that its vjp rule reads. */
class Node : public std::enable_shared_from_this<Node> {
 public:
  Node(const Op* called, Attributes settings, Values from, std::vector<Tensor> made)
      : op(called), attributes(std::move(settings)), inputs(std::move(from)), outputs(std::move(made)) {
    static thread_local uint64_t last = 0;
    sequence = ++last;
    if (op == nullptr) return;
    for (size_t index = 0; index < inputs.size(); index++) {
      if ((op->readsInputs & bit(static_cast<int>(index))) == 0) forget(inputs[index]);
    }
    for (size_t index = 0; index < outputs.size(); index++) {
      if ((op->readsOutputs & bit(static_cast<int>(index))) == 0) outputs[index] = typeOf(outputs[index]);
    }
  }

  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /** A chain of nodes as long as the network is deep is taken down in a loop: recursion would overflow the stack. */
  ~Node() {
    static thread_local Values* orphans = nullptr;
    if (orphans != nullptr) {
      std::move(inputs.begin(), inputs.end(), std::back_inserter(*orphans));
      return;
    }
    Values pending = std::move(inputs);
    orphans = &pending;
    while (!pending.empty()) {
      const Value last = std::move(pending.back());
      pending.pop_back();
    }
    orphans = nullptr;
  }

  /** Frees what was kept for the vjp rule; the way to the inputs stays. */
  void release() {
    for (Value& input : inputs) forget(input);
    for (Tensor& output : outputs) output = typeOf(output);
  }

  const Op* op;  // null: a watched value, where a branch of the tape starts
  Attributes attributes;
  Values inputs;
  std::vector<Tensor> outputs;
  uint64_t sequence = 0;

 private:
  static Tensor typeOf(const Tensor& tensor) { return {tensor.type(), nullptr}; }
  static void forget(Value& value) { value = {typeOf(value.tensor()), value.node(), value.output()}; }
};

namespace {

thread_local bool recording = true;

template <class... Inputs>
Value callOne(const char* name, Attributes attributes, const Inputs&... inputs) {
  return call(findOp(name), Values{inputs...}, std::move(attributes))[0];
}

std::vector<int64_t> asList(const Shape& shape) { return {shape.begin(), shape.end()}; }

Value zeros(const Shape& shape, DType dtype) {
  return callOne("full", {{"shape", asList(shape)}, {"value", 0.0}, {"dtype", dtypeName(dtype)}});
}

void checkInputs(const Op& op, const Values& inputs) {
  const int count = static_cast<int>(inputs.size());
  if (count < op.leastInputs || count > op.mostInputs) {
    fail(ErrorCode::invalidArgument, "expected ", op.leastInputs, op.leastInputs == op.mostInputs ? "" : " or more",
         " tensors, received ", count);
  }
  if (currentTracer() != nullptr) return;
  for (const Value& input : inputs) {
    if (input.tensor().storage()->isPlaceholder()) {
      fail(ErrorCode::notTraceable, "received a value of a traced function, which has no numbers outside its plan");
    }
  }
}

Values run(const Op& op, const Values& inputs, const Attributes& attributes) {
  checkInputs(op, inputs);
  std::vector<Tensor> tensors;
  tensors.reserve(inputs.size());
  for (const Value& input : inputs) tensors.push_back(input.tensor());
  const Types types = op.infer(tensors, attributes);
  std::vector<Tensor> outputs;
  outputs.reserve(types.size());
  Tracer* tracer = currentTracer();
  for (const TensorType& type : types) {
    if (op.run == nullptr) {
      const int64_t start = op.viewOffset == nullptr ? 0 : op.viewOffset(tensors, attributes);
      outputs.push_back(tensors[0].view(type, static_cast<size_t>(start) * dtypeBytes(type.dtype)));
    } else {
      outputs.push_back(tracer != nullptr ? Tensor::placeholder(type) : Tensor::allocate(type));
    }
  }
  if (tracer != nullptr) {
    tracer->record(op, tensors, outputs, attributes);
  } else if (op.run != nullptr) {
    op.run(tensors, outputs, attributes);
  }
  return {outputs.begin(), outputs.end()};
}

}  // namespace

Tracer*& currentTracer() {
  static thread_local Tracer* tracer = nullptr;
  return tracer;
}

Values call(const Op& op, Values inputs, Attributes attributes) {
  try {
    Values outputs = run(op, inputs, attributes);
    const bool tracked =
        std::any_of(inputs.begin(), inputs.end(), [](const Value& input) { return input.node() != nullptr; });
    if (!recording || !tracked || op.differentiate == nullptr) return outputs;
    std::vector<Tensor> tensors;
    for (const Value& output : outputs) tensors.push_back(output.tensor());
    const auto node = std::make_shared<Node>(&op, std::move(attributes), std::move(inputs), tensors);
    for (size_t index = 0; index < outputs.size(); index++) {
      if (isFloat(tensors[index].dtype())) outputs[index] = {tensors[index], node, static_cast<int>(index)};
    }
    return outputs;
  } catch (const Error& error) {
    throw Error(error.code(), std::string(op.name) + ": " + error.what());
  }
}

Value watch(const Value& value) {
  // A value that is on the tape already keeps its way back through an alias, for an outer derivative.
  if (value.node() != nullptr) return callOne("reshape", {{"shape", asList(value.shape())}}, value);
  return {value.tensor(), std::make_shared<Node>(nullptr, Attributes{}, Values{}, std::vector<Tensor>{}), 0};
}

namespace {

using NodeValues = std::unordered_map<Node*, Values>;

/** All nodes behind the outputs, in the order in which they were recorded. */
std::vector<std::shared_ptr<Node>> reachable(const Values& outputs) {
  std::vector<std::shared_ptr<Node>> found;
  std::unordered_map<Node*, bool> seen;
  std::vector<std::shared_ptr<Node>> open;
  const auto visit = [&](const std::shared_ptr<Node>& node) {
    if (node == nullptr || !seen.emplace(node.get(), true).second) return;
    open.push_back(node);
    found.push_back(node);
  };
  for (const Value& output : outputs) visit(output.node());
  while (!open.empty()) {
    const std::shared_ptr<Node> node = open.back();
    open.pop_back();
    for (const Value& input : node->inputs) visit(input.node());
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a->sequence < b->sequence; });
  return found;
}

void accumulate(Value& sum, const Value& more) {
  sum = sum.tensor().storage() == nullptr ? more : callOne("add", {}, sum, more);
}

Shape leadOf(const Value& cotangent, const Value& output) {
  const Shape& shape = cotangent.shape();
  const int front = shape.rank() - output.shape().rank();
  if (front < 0 || !(shape.part(front, shape.rank()) == output.shape())) {
    fail(ErrorCode::shapeMismatch, "vjp: expected a cotangent of shape ", output.shape(),
         ", with axes in front where there are several, received ", shape);
  }
  if (cotangent.dtype() != output.dtype()) {
    fail(ErrorCode::dtypeMismatch, "vjp: expected a cotangent of dtype ", dtypeName(output.dtype()), ", received ",
         dtypeName(cotangent.dtype()));
  }
  return shape.part(0, front);
}

}  // namespace

Values pullback(const Values& outputs, const Values& cotangents, const Values& inputs, bool record, bool release) {
  if (outputs.size() != cotangents.size() || outputs.empty()) {
    fail(ErrorCode::invalidArgument, "vjp: expected a cotangent for each of ", outputs.size(), " outputs, received ",
         cotangents.size());
  }
  const Shape lead = leadOf(cotangents[0], outputs[0]);
  std::unordered_map<Node*, bool> useful;
  for (const Value& input : inputs) {
    if (input.node() != nullptr) useful[input.node().get()] = true;
  }
  const auto isUseful = [&](const Value& value) {
    const auto found = useful.find(value.node().get());
    return found != useful.end() && found->second;
  };
  const std::vector<std::shared_ptr<Node>> nodes = reachable(outputs);
  for (const auto& node : nodes) {
    if (std::any_of(node->inputs.begin(), node->inputs.end(), isUseful)) useful[node.get()] = true;
  }

  const bool before = recording;
  recording = record;
  struct Restore {
    bool value;
    ~Restore() { recording = value; }
  } const restore{before};

  NodeValues arrived;
  const auto arrive = [&](const Value& at, const Value& cotangent) {
    Values& slots = arrived[at.node().get()];
    if (slots.size() <= static_cast<size_t>(at.output())) slots.resize(static_cast<size_t>(at.output()) + 1);
    accumulate(slots[static_cast<size_t>(at.output())], cotangent);
  };
  for (size_t index = 0; index < outputs.size(); index++) {
    if (!(leadOf(cotangents[index], outputs[index]) == lead)) {
      fail(ErrorCode::shapeMismatch, "vjp: expected the same axes in front of all cotangents");
    }
    if (outputs[index].node() != nullptr && isUseful(outputs[index])) arrive(outputs[index], cotangents[index]);
  }
  const auto isTarget = [&](Node* node) {
    return std::any_of(inputs.begin(), inputs.end(), [&](const Value& input) { return input.node().get() == node; });
  };
  for (const std::shared_ptr<Node>& node : std::views::reverse(nodes)) {
    const auto found = arrived.find(node.get());
    if (node->op == nullptr || found == arrived.end()) continue;
    std::vector<bool> needed;
    for (const Value& input : node->inputs) needed.push_back(input.node() != nullptr && isUseful(input));
    Values incoming = isTarget(node.get()) ? found->second : std::move(found->second);
    Vjp vjp(*node, std::move(incoming), needed);
    node->op->differentiate(vjp);
    for (size_t index = 0; index < needed.size(); index++) {
      if (needed[index] && vjp.given()[index].tensor().storage() != nullptr)
        arrive(node->inputs[index], vjp.given()[index]);
    }
    if (release) node->release();
  }

  Values results;
  for (const Value& input : inputs) {
    const auto found = arrived.find(input.node().get());
    const auto slot = static_cast<size_t>(input.output());
    const bool reached = input.node() != nullptr && found != arrived.end() && slot < found->second.size() &&
                         found->second[slot].tensor().storage() != nullptr;
    results.push_back(reached ? found->second[slot] : zeros(lead.then(input.shape()), input.dtype()));
  }
  return results;
}

Values pullbackRows(const Values& outputs, const Values& cotangents, const Values& inputs, const Value& rows) {
  const auto chosen = [&](const Tensor& tensor, int64_t examples) {
    if (tensor.rank() < 1 || tensor.shape()[0] != examples) {
      fail(ErrorCode::shapeMismatch, "vjp: expected ", examples, " rows along the first axis of every value, received ",
           tensor.shape());
    }
    if (tensor.storage() != nullptr) return callOne("gather", {{"axis", 0.0}}, Value(tensor), rows.detached()).tensor();
    const Shape& shape = tensor.shape();
    return Tensor({rows.shape().then(shape.part(1, shape.rank())), tensor.dtype()}, nullptr);
  };
  std::unordered_map<const Node*, std::shared_ptr<Node>> copies;
  const auto moved = [&](const Value& value, int64_t examples) {
    const auto found = copies.find(value.node().get());
    return found == copies.end() ? value : Value(chosen(value.tensor(), examples), found->second, value.output());
  };
  const int64_t examples = outputs.empty() || outputs[0].shape().rank() < 1 ? 0 : outputs[0].shape()[0];
  for (const std::shared_ptr<Node>& node : reachable(outputs)) {
    Values from;
    for (const Value& input : node->inputs) from.push_back(moved(input, examples));
    std::vector<Tensor> made;
    for (const Tensor& output : node->outputs) made.push_back(chosen(output, examples));
    copies[node.get()] = std::make_shared<Node>(node->op, node->attributes, std::move(from), std::move(made));
  }
  const auto typed = [&](const Value& value) {
    return moved({Tensor(value.tensor().type(), nullptr), value.node(), value.output()}, examples);
  };
  Values ends;
  Values starts;
  for (const Value& output : outputs) ends.push_back(typed(output));
  for (const Value& input : inputs) starts.push_back(typed(input));
  return pullback(ends, cotangents, starts, false, true);
}

Vjp::Vjp(Node& node, Values cotangents, std::vector<bool> needed)
    : node_(node), cotangents_(std::move(cotangents)), needed_(std::move(needed)), given_(node.inputs.size()) {
  for (size_t index = 0; index < cotangents_.size(); index++) {
    if (cotangents_[index].tensor().storage() == nullptr) continue;
    lead_ = cotangents_[index].shape().withoutLast(node_.outputs[index].rank());
  }
}

const Attributes& Vjp::attributes() const { return node_.attributes; }

namespace {

Value kept(const Value& value, const char* op) {
  if (value.tensor().storage() == nullptr) {
    fail(ErrorCode::invalidArgument, op,
         ": the values that its derivative needs were freed by an earlier backward pass");
  }
  return value;
}

}  // namespace

Value Vjp::input(int index) const { return kept(node_.inputs[static_cast<size_t>(index)], node_.op->name); }

Value Vjp::output(int index) const {
  return kept({node_.outputs[static_cast<size_t>(index)], node_.shared_from_this(), index}, node_.op->name);
}

const TensorType& Vjp::inputType(int index) const { return node_.inputs[static_cast<size_t>(index)].tensor().type(); }
const TensorType& Vjp::outputType(int index) const { return node_.outputs[static_cast<size_t>(index)].type(); }
int Vjp::inputCount() const { return static_cast<int>(node_.inputs.size()); }

Value Vjp::cotangent(int index) const {
  const auto slot = static_cast<size_t>(index);
  if (slot < cotangents_.size() && cotangents_[slot].tensor().storage() != nullptr) return cotangents_[slot];
  return zeros(lead_.then(outputType(index).shape), outputType(index).dtype);
}

void Vjp::give(int index, Value cotangent) { given_[static_cast<size_t>(index)] = std::move(cotangent); }

void Vjp::giveBroadcast(int index, const Value& cotangent) {
  const Shape target = lead_.then(inputType(index).shape);
  if (cotangent.shape() == target) {
    give(index, cotangent);
    return;
  }
  std::vector<int64_t> axes;
  const int front = lead_.rank();
  const int added = cotangent.shape().rank() - target.rank();
  for (int axis = front; axis < cotangent.shape().rank(); axis++) {
    if (axis < front + added || (target[axis - added] == 1 && cotangent.shape()[axis] != 1)) axes.push_back(axis);
  }
  const Value sum = axes.empty() ? cotangent : callOne("sum", {{"axes", axes}}, cotangent);
  give(index, sum.shape() == target ? sum : callOne("reshape", {{"shape", asList(target)}}, sum));
}

}  // namespace sparring
