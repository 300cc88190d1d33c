/** Networks that hide their gradients, each in its own way, around one that does not. */
import { add, flatten, mul, nn, normal, round, sign, type Tensor } from '../../src/index.js';

/** Logits so far apart that the loss is flat. */
export class Saturated extends nn.Module {
  constructor(readonly inner: nn.Module) {
    super();
  }

  forward(x: Tensor): Tensor {
    return mul(this.inner.forward(x), 1000);
  }
}

/** Inputs rounded to nine levels: the gradient is zero wherever there is one. */
export class Rounded extends nn.Module {
  constructor(readonly inner: nn.Module) {
    super();
  }

  forward(x: Tensor): Tensor {
    return this.inner.forward(mul(round(mul(x, 8)), 1 / 8));
  }
}

/** Noise on the input, another one at each call. */
export class Noisy extends nn.Module {
  #calls = 0;

  constructor(readonly inner: nn.Module) {
    super();
  }

  forward(x: Tensor): Tensor {
    return this.inner.forward(add(x, mul(normal(x.shape, { seed: 5, stream: this.#calls++ }), 0.02)));
  }
}

/** An activation that is flat: the sign, between the layers of another network. */
export class Stepped extends nn.Module {
  constructor(readonly inner: nn.Sequential) {
    super();
  }

  forward(x: Tensor): Tensor {
    return this.inner.layers.reduce((value, layer) => {
      const next = layer.forward(value);
      return layer instanceof nn.Linear && layer !== this.inner.layers.at(-1) ? sign(next) : next;
    }, flatten(x));
  }
}
