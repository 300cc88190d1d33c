#!/usr/bin/env python3
"""Times PyTorch (CPU, float32) on the workloads of `sparring bench --peers`, which runs this file.

usage: torch_bench.py --material DIR --workloads NAME,NAME --threads N --seconds S [--tuned]

DIR holds images.safetensors (the same images that sparring is timed on) and mlp.safetensors and lenet.safetensors (the
trained networks, the same for everybody). Prints one JSON object: for every workload the median seconds of a repetition
in each configuration tried. The configuration `plain` is what a straightforward program does: contiguous tensors, a loop
over the classes for a Jacobian; the others are the ways of making PyTorch faster. Configurations that are behind after a
trial are not timed further, but `plain` is, unless the run is a tuned one, which also flushes denormal numbers to zero.
"""
import argparse
import json
import os
import statistics
import struct
import time

parser = argparse.ArgumentParser()
parser.add_argument('--material', required=True)
parser.add_argument('--workloads', required=True)
parser.add_argument('--threads', type=int, default=2)
parser.add_argument('--seconds', type=float, default=0.3)
parser.add_argument('--tuned', action='store_true')
args = parser.parse_args()

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(args.threads)
if args.tuned:
    torch.set_flush_denormal(True)

EPSILON = 1.5
TINY = 1e-12
CLASSES = 10
DTYPES = {'F32': np.float32, 'I32': np.int32, 'U8': np.uint8}
LAST = torch.channels_last


def load(name):
    """The tensors of a safetensors file: a length, a header in JSON, the numbers."""
    with open(os.path.join(args.material, name), 'rb') as file:
        content = file.read()
    size, = struct.unpack('<Q', content[:8])
    header = json.loads(content[8:8 + size])
    header.pop('__metadata__', None)
    tensors = {}
    for key, entry in header.items():
        begin, end = (8 + size + offset for offset in entry['data_offsets'])
        numbers = np.frombuffer(content[begin:end], DTYPES[entry['dtype']]).reshape(entry['shape'])
        tensors[key] = torch.from_numpy(numbers.copy())
    return tensors


# ---- timing ----------------------------------------------------------------------------------------------------------

results = {}


def once(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def repeated(run):
    samples = []
    start = time.perf_counter()
    while not samples or (time.perf_counter() - start < args.seconds):
        samples.append(once(run))
    return statistics.median(samples)


def measure(name, configurations):
    """configurations: {name: (trial, run)}; a trial is one repetition, or a part of one that says as much."""
    found, trials = {}, {}
    for configuration, (trial, _) in configurations.items():
        try:
            first = once(trial)
            trials[configuration] = min(once(trial) for _ in range(1 if first > 0.5 else 3))
        except Exception as error:  # a way that this version of PyTorch does not go
            found[configuration] = {'error': f'{type(error).__name__}: {error}'[:200]}
    least = min(trials.values()) if trials else 0
    for configuration, trial in trials.items():
        if trial <= 1.25 * least or (configuration == 'plain' and not args.tuned):
            found[configuration] = {'seconds': repeated(configurations[configuration][1])}
        else:
            found[configuration] = {'behind': trial / least}
    results[name] = found


def simple(run):
    return run, run


# ---- networks --------------------------------------------------------------------------------------------------------

def mlp():
    return nn.Sequential(nn.Linear(784, 1000), nn.ReLU(), nn.Linear(1000, 1000), nn.ReLU(), nn.Linear(1000, CLASSES))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, CLASSES))


def cifar_net():
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.Conv2d(128, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(8192, 256), nn.ReLU(), nn.Linear(256, CLASSES))


def network(make, layout='contiguous', trained=None):
    torch.manual_seed(1)
    model = make()
    if trained:
        model.load_state_dict(load(trained))
    return model.to(memory_format=LAST) if layout == 'channels_last' else model


def optimizer_step(model, foreach=False):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, foreach=foreach)

    def step(x, y):
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return step


def cycling(x, y, size):
    state = {'at': -size}
    last = x.shape[0] // size * size

    def following():
        state['at'] = (state['at'] + size) % last
        return x[state['at']:state['at'] + size], y[state['at']:state['at'] + size]
    return following


# ---- Jacobians of the softmax [B, K, ...], by every way there is -----------------------------------------------------

def jacobian_loop(model):
    def jacobian(x):
        x = x.detach().requires_grad_(True)
        p = F.softmax(model(x), 1)
        rows = [torch.autograd.grad(p[:, k].sum(), x, retain_graph=k < CLASSES - 1)[0] for k in range(CLASSES)]
        return p.detach(), torch.stack(rows, 1)
    return jacobian


def jacobian_batched(model):
    def jacobian(x):
        x = x.detach().requires_grad_(True)
        p = F.softmax(model(x), 1)
        cotangents = torch.eye(CLASSES)[:, None, :].expand(CLASSES, x.shape[0], CLASSES)
        rows, = torch.autograd.grad(p, x, cotangents, is_grads_batched=True)
        return p.detach(), rows.transpose(0, 1)
    return jacobian


def jacobian_repeated(model):
    def jacobian(x):
        size = x.shape[0]
        copies = x.detach().repeat(CLASSES, *[1] * (x.dim() - 1)).requires_grad_(True)
        p = F.softmax(model(copies), 1)
        rows, = torch.autograd.grad(p, copies, torch.eye(CLASSES).repeat_interleave(size, 0))
        return p[:size].detach(), rows.view(CLASSES, *x.shape).transpose(0, 1)
    return jacobian


def functional(model):
    try:
        from torch.func import functional_call, jacrev, vmap
        values = {name: value.detach() for name, value in model.named_parameters()}
        return (lambda x: functional_call(model, values, (x,))), jacrev, vmap
    except ImportError:
        from functorch import jacrev, make_functional, vmap
        call, values = make_functional(model, disable_autograd_tracking=True)
        return (lambda x: call(values, x)), jacrev, vmap


def jacobian_jacrev(model):
    """The examples are independent, so the Jacobian of the outputs' sum holds those of all of them."""
    call, jacrev, _ = functional(model)

    def jacobian(x):
        def summed(inputs):
            p = F.softmax(call(inputs), 1)
            return p.sum(0), p
        rows, p = jacrev(summed, has_aux=True)(x)
        return p, rows.transpose(0, 1)
    return jacobian


def jacobian_vmap(model):
    call, jacrev, vmap = functional(model)

    def jacobian(x):
        def single(one):
            p = F.softmax(call(one.unsqueeze(0)), 1)[0]
            return p, p
        rows, p = vmap(jacrev(single, has_aux=True))(x)
        return p, rows
    return jacobian


JACOBIANS = {'loop': jacobian_loop, 'batched': jacobian_batched, 'repeated': jacobian_repeated,
             'jacrev': jacobian_jacrev, 'vmap': jacobian_vmap}


# ---- perturbations ---------------------------------------------------------------------------------------------------

def alpha_perturbation(jacobian, x):
    """Adv_Alpha: the way to the nearest class of the linearised network."""
    p, rows = jacobian(x)
    size = x.shape[0]
    rows = rows.reshape(size, CLASSES, -1)
    each, label = torch.arange(size), p.argmax(1)
    differences = rows - rows[each, label].unsqueeze(1)
    lengths = differences.norm(dim=2)
    distances = (p[each, label].unsqueeze(1) - p) / lengths.clamp_min(TINY)
    distances[each, label] = float('inf')
    nearest = distances.argmin(1)
    direction = differences[each, nearest] / lengths[each, nearest].clamp_min(TINY).unsqueeze(1)
    return (EPSILON * direction).view_as(x)


def loss_gradient(model, x, y):
    x = x.detach().requires_grad_(True)
    return torch.autograd.grad(F.cross_entropy(model(x), y), x)[0].reshape(x.shape[0], -1)


def loss_perturbation(model, x, y):
    gradient = loss_gradient(model, x, y)
    return (EPSILON * gradient / gradient.norm(dim=1, keepdim=True).clamp_min(TINY)).view_as(x)


def pgd(model, images, y, steps=40, rate=0.1, size=250):
    for begin in range(0, images.shape[0], size):
        x, labels = images[begin:begin + size], y[begin:begin + size]
        moved = torch.zeros_like(x)
        for _ in range(steps):
            gradient = loss_gradient(model, x + moved, labels)
            moved = climbed(x, moved, gradient, rate)


def climbed(x, moved, gradient, rate):
    """A step up the gradient [B, D], back into the ball and into the range."""
    ahead = moved.reshape(x.shape[0], -1)
    ahead = ahead + rate * gradient / gradient.norm(dim=1, keepdim=True).clamp_min(TINY)
    ahead = ahead * (EPSILON / ahead.norm(dim=1, keepdim=True).clamp_min(TINY)).clamp_max(1)
    return ((x + ahead.view_as(x)).clamp(0, 1) - x).detach()


def scored_pgd(model, images, y, steps=40, rate=0.1, size=250, dropping=False):
    """The same with its successes; `dropping` takes no more steps with what is broken."""
    for begin in range(0, images.shape[0], size):
        x, labels = images[begin:begin + size], y[begin:begin + size]
        adversarial, success = x.clone(), torch.zeros(x.shape[0], dtype=torch.bool)
        standing, moved = torch.arange(x.shape[0]), torch.zeros_like(x)
        for _ in range(steps):
            here, named = x[standing] if dropping else x, labels[standing] if dropping else labels
            at = (here + moved).requires_grad_(True)
            logits = model(at)
            gradient = torch.autograd.grad(F.cross_entropy(logits, named), at)[0].reshape(here.shape[0], -1)
            if dropping:
                broken = logits.argmax(1) != named
                adversarial[standing[broken]], success[standing[broken]] = at.detach()[broken], True
                kept = ~broken
                standing = standing[kept]
                if standing.numel() == 0:
                    break
                moved = climbed(here[kept], moved[kept], gradient[kept], rate)
            else:
                moved = climbed(here, moved, gradient, rate)
        if standing.numel() > 0:
            adversarial[standing] = x[standing] + moved
            success[standing] = succeeded(model, adversarial[standing], labels[standing])
        lengths(adversarial, x)


def succeeded(model, adversarial, y):
    with torch.no_grad():
        return model(adversarial).argmax(1) != y


def lengths(adversarial, x):
    return (adversarial - x).reshape(x.shape[0], -1).norm(dim=1)


# ---- workloads -------------------------------------------------------------------------------------------------------

images = load('images.safetensors')
TRAIN = images['train.x'], images['train.y'].long()
TEST = images['test.x'], images['test.y'].long()
MAKE = {'mlp': mlp, 'lenet': lenet}


def layouts(name):
    return ('contiguous',) if name == 'mlp' else ('contiguous', 'channels_last')


def titled(layout, *more):
    """`plain` for what a straightforward program does."""
    words = [word for word in (layout if layout != 'contiguous' else '', *more) if word]
    return ', '.join(words) or 'plain'


def shaped(name, x):
    return x.reshape(-1, 784) if name == 'mlp' else x


def training(name, kind):
    found = {}
    file = f'{name}.safetensors' if kind.endswith('_trained') else None
    kind = kind.replace('_trained', '')
    for layout in layouts(name):
        def fresh(foreach=False):
            model = network(MAKE[name], layout, file)
            x, y = TRAIN
            return model, optimizer_step(model, foreach), cycling(shaped(name, x), y, 128)

        if kind == 'train_b128':
            for foreach in (False, True):
                _, step, following = fresh(foreach)
                run = lambda step=step, following=following: step(*following())
                found[titled(layout, 'foreach' if foreach else '')] = simple(run)
        elif kind == 'lwa_loss_b128':
            model, step, following = fresh()

            def run(model=model, step=step, following=following):
                x, y = following()
                step(x + loss_perturbation(model, x, y), y)
            found[titled(layout)] = simple(run)
        else:
            for way, make in JACOBIANS.items():
                model, step, following = fresh()

                def run(jacobian=make(model), step=step, following=following):
                    x, y = following()
                    step(x + alpha_perturbation(jacobian, x), y)
                found[titled(layout, '' if way == 'loop' else way)] = simple(run)
    return found


def attacking(name, kind):
    """Of a name that ends in _scored: which images succeed and how far they are moved is found too."""
    found = {}
    x, y = shaped(name, TEST[0]), TEST[1]
    kind, scored = kind.replace('_scored', ''), kind.endswith('_scored')

    def whole(model, perturb, count=10000, size=500):
        adversarial = torch.empty_like(x[:count])
        success, moved = torch.empty(count, dtype=torch.bool), torch.empty(count)
        for begin in range(0, count, size):
            part = slice(begin, begin + size)
            adversarial[part] = x[part] + perturb(x[part], y[part])
            if scored:
                success[part] = succeeded(model, adversarial[part], y[part])
                moved[part] = lengths(adversarial[part], x[part])

    for layout in layouts(name):
        model = network(MAKE[name], layout, f'{name}.safetensors')
        if kind == 'pgd40_1k':
            ways = {'': pgd} if not scored else {
                '': scored_pgd, 'dropping the broken': lambda *given, **more: scored_pgd(*given, **more, dropping=True)}
            for way, run in ways.items():
                # The trial is one batch in full: how many are broken early is seen by then only.
                each = lambda run=run, model=model: run(model, x[:1000], y[:1000])
                part = lambda run=run, model=model: run(model, x[:250], y[:250])
                found[titled(layout, way)] = (part, each)
            continue
        if kind == 'attack_loss_10k':
            ways = {'': lambda part, labels, model=model: loss_perturbation(model, part, labels)}
        else:
            ways = {'' if way == 'loop' else way:
                    lambda part, _, jacobian=make(model): alpha_perturbation(jacobian, part)
                    for way, make in JACOBIANS.items()}
        for way, perturb in ways.items():
            found[titled(layout, way)] = (lambda model=model, perturb=perturb: whole(model, perturb, 500),
                                          lambda model=model, perturb=perturb: whole(model, perturb))
    return found


def inferring(name, size):
    found = {}
    for layout in layouts(name):
        model = network(MAKE[name], layout, f'{name}.safetensors').eval()
        x = shaped(name, TEST[0])[:size]
        ready = x.contiguous(memory_format=LAST) if layout == 'channels_last' else x

        def run(model=model, ready=ready):
            with torch.inference_mode():
                model(ready)
        found[titled(layout)] = simple(run)
        with torch.no_grad():
            frozen = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, ready)))

        def run(model=frozen, ready=ready):
            with torch.inference_mode():
                model(ready)
        found[titled(layout, 'frozen')] = simple(run)
    return found


CONVOLUTIONS = {
    'conv_1x28_20k5': (128, 1, 28, 20, 5, 0),
    'conv_20x12_50k5': (128, 20, 12, 50, 5, 0),
    'conv_3x32_64k3p1': (128, 3, 32, 64, 3, 1),
    'conv_64x32_64k3p1': (64, 64, 32, 64, 3, 1),
    'conv_128x16_128k3p1': (64, 128, 16, 128, 3, 1),
}


def convolving(name, kind):
    batch, channels, size, filters, kernel, padding = CONVOLUTIONS[name]
    out = size + 2 * padding - kernel + 1
    found = {}
    for layout in ('contiguous', 'channels_last'):
        memory = LAST if layout == 'channels_last' else torch.contiguous_format
        x = torch.randn(batch, channels, size, size).contiguous(memory_format=memory)
        w = (torch.randn(filters, channels, kernel, kernel) * 0.1).contiguous(memory_format=memory)
        cotangent = torch.randn(batch, filters, out, out).contiguous(memory_format=memory)
        wanted = {'fwd': (), 'fwdbwd': (x, w), 'fwdbwd_x_only': (x,)}[kind]
        for each in wanted:
            each.requires_grad_(True)

        def run(x=x, w=w, cotangent=cotangent, wanted=wanted):
            result = F.conv2d(x, w, padding=padding)
            if wanted:
                torch.autograd.grad(result, wanted, cotangent)
        found[titled(layout)] = simple(run)
    return found


def cifar_training():
    found = {}
    x, y = torch.rand(512, 3, 32, 32), torch.randint(0, CLASSES, (512,))
    for layout in ('contiguous', 'channels_last'):
        ready = x.contiguous(memory_format=LAST) if layout == 'channels_last' else x
        for foreach in (False, True):
            step, following = optimizer_step(network(cifar_net, layout), foreach), cycling(ready, y, 64)
            run = lambda step=step, following=following: step(*following())
            found[titled(layout, 'foreach' if foreach else '')] = simple(run)
    return found


def multiplying(size):
    a, b, c = (torch.randn(size, size) for _ in range(3))
    return {'plain': simple(lambda: a @ b), 'into a tensor': simple(lambda: torch.mm(a, b, out=c))}


def configurations(name):
    if name == 'cifar_train_b64':
        return cifar_training()
    if name.startswith('conv_'):
        return convolving(*name.split('/'))
    family, kind = name.split('_', 1)
    if family == 'gemm':
        return multiplying(int(kind))
    if kind.startswith('infer_b'):
        return inferring(family, int(kind[len('infer_b'):]))
    if kind.startswith(('attack', 'pgd')):
        return attacking(family, kind)
    if kind.startswith(('train', 'lwa')):
        return training(family, kind)
    return None


def agree():
    """All ways to a Jacobian give the same one."""
    for name in MAKE:
        model, x = network(MAKE[name], trained=f'{name}.safetensors'), shaped(name, TEST[0])[:16]
        expected = jacobian_loop(model)(x)[1]
        for way, make in JACOBIANS.items():
            try:
                found = make(model)(x)[1]
            except Exception:
                continue  # reported where it is timed
            if (found - expected).abs().max() > 1e-4 * expected.abs().max():
                raise SystemExit(f'{name}: the Jacobian by {way} is another one')


wanted = args.workloads.split(',')
if any('alpha' in name for name in wanted):
    agree()
for name in wanted:
    made = configurations(name)
    if made is not None:
        measure(name, made)

print(json.dumps({'meta': {'version': torch.__version__, 'threads': torch.get_num_threads()}, 'workloads': results}))
