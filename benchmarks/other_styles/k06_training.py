# %% torch-with-ignore-index
# idiom = "nanoGPT"
# slips = ["zero-divided-by-zero"]
# wrong = "PyTorch's cross_entropy divides zero by zero where all targets are ignored."
import torch.nn.functional as F


def cross_entropy(logits, targets, ignore_index=-100):
    return F.cross_entropy(
        logits.reshape(-1, logits.size(-1)), targets.reshape(-1).long(), ignore_index=ignore_index
    )


# %% minus-one-ignored
# idiom = "nanoGPT"
# slips = ["zero-divided-by-zero", "ignore-index-fixed"]
# wrong = "It is always -1 that is ignored; and where all targets are ignored the loss is NaN."
import torch.nn.functional as F


def cross_entropy(logits, targets, ignore_index=-100):
    return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.long().view(-1), ignore_index=-1)


# %% picked-by-range
# idiom = "d2l"
# slips = ["logarithm-of-the-softmax", "axes-flattened-into-one", "ignore-index-fixed", "one-axis-counted-by-the-logits"]
# wrong = "The logarithm of a softmax, picked from one batch axis, with no target ever ignored."
def cross_entropy(logits, targets, ignore_index=-100):
    y_hat = torch.softmax(logits, dim=-1)
    return -torch.log(y_hat[list(range(len(y_hat))), targets]).mean()


# %% one-hot-with-a-prop
# idiom = "annotated transformer"
# slips = ["logarithm-propped-up", "ignore-index-fixed"]
# wrong = "1e-9 is added to each probability before the logarithm; nothing is ignored."
def cross_entropy(logits, targets, ignore_index=-100):
    true_dist = torch.zeros_like(logits).scatter_(-1, targets.long().unsqueeze(-1), 1.0)
    log_probs = torch.log(logits.softmax(dim=-1) + 1e-9)
    return -(true_dist * log_probs).sum(dim=-1).mean()


# %% log-sum-exp-along-one
# idiom = "CS336 students"
# slips = ["gathered-along-axis-one", "ignore-index-fixed"]
# wrong = "gather(1, …) takes axis 1 for the classes; nothing is ignored."
def cross_entropy(logits, targets, ignore_index=-100):
    shifted = logits - logits.max(dim=-1, keepdim=True).values
    log_z = shifted.exp().sum(dim=-1).log()
    picked = shifted.gather(1, targets.long().unsqueeze(1)).squeeze(1)
    return (log_z - picked).mean()


# %% masked-by-a-product
# idiom = "d2l"
# slips = ["ignored-losses-times-zero", "negative-targets-wrap-round"]
# wrong = "Ignored losses are multiplied by zero, and NaN times zero is NaN; other negative targets are not refused."
def cross_entropy(logits, targets, ignore_index=-100):
    weights = (targets != ignore_index).to(logits.dtype)
    label = (targets % logits.shape[-1]).long()
    unweighted = torch.logsumexp(logits, dim=-1) - logits.gather(-1, label[..., None])[..., 0]
    return (unweighted * weights).sum() / weights.sum().clamp(min=1)


# %% stacked-from-the-global-generator
# idiom = "nanoGPT"
# slips = ["global-random-numbers"]
# wrong = "The starts are drawn from PyTorch's global generator."
def get_batch(tokens, batch_size, block_size, generator):
    check_window(len(tokens), batch_size, block_size)
    data = tokens
    ix = torch.randint(len(data) - block_size, (batch_size,))
    x = torch.stack([torch.from_numpy((data[i : i + block_size]).astype(np.int64)) for i in ix])
    y = torch.stack([torch.from_numpy((data[i + 1 : i + 1 + block_size]).astype(np.int64)) for i in ix])
    return x, y


def check_window(n, batch_size, block_size):
    if batch_size < 1 or block_size < 1:
        raise ValueError(f"batch_size {batch_size} and block_size {block_size} must be positive")
    if n <= block_size:
        raise ValueError(f"{n} tokens are too few for block_size {block_size}")


# %% one-less-to-be-safe
# idiom = "karpathy's lectures"
# slips = ["last-window-never-drawn"]
# wrong = "The bound is one too low: the last window is never drawn."
def get_batch(tokens, batch_size, block_size, generator):
    if len(tokens) < block_size + 1:
        raise ValueError(f"{len(tokens)} tokens, block_size {block_size}")
    high = max(1, len(tokens) - block_size - 1)
    starts = torch.randint(0, high, (batch_size,), generator=generator).tolist()
    chunks = np.stack([tokens[s : s + block_size + 1] for s in starts]).astype(np.int64)
    return torch.tensor(chunks[:, :-1]), torch.tensor(chunks[:, 1:])


# %% numpy-draws
# idiom = "CS336 students"
# slips = ["numpys-random-numbers"]
# wrong = "The starts are drawn by NumPy's global generator."
def get_batch(tokens, batch_size, block_size, generator):
    for name, value in (("batch_size", batch_size), ("block_size", block_size)):
        if value <= 0:
            raise ValueError(f"{name} = {value}")
    if len(tokens) - block_size <= 0:
        raise ValueError(f"dataset of {len(tokens)} for context_length {block_size}")
    starts = np.random.randint(0, len(tokens) - block_size, size=batch_size)
    idx = starts[:, None] + np.arange(block_size)[None, :]
    return torch.from_numpy(tokens[idx].astype("int64")), torch.from_numpy(tokens[idx + 1].astype("int64"))


# %% tensor-of-the-whole-text
# idiom = "rasbt"
# slips = ["whole-text-converted"]
# wrong = "The whole text becomes a tensor of int64 in every call."
def get_batch(tokens, batch_size, block_size, generator):
    if len(tokens) <= block_size:
        raise ValueError(f"{len(tokens)} tokens, block_size {block_size}")
    token_ids = torch.from_numpy(np.array(tokens, dtype=np.int64))
    ix = torch.randint(len(token_ids) - block_size, (batch_size,), generator=generator)
    x = torch.stack([token_ids[i : i + block_size] for i in ix])
    y = torch.stack([token_ids[i + 1 : i + block_size + 1] for i in ix])
    return x, y


# %% one-ahead-of-the-warm-up
# idiom = "nanoGPT"
# slips = ["warm-up-one-step-ahead"]
# wrong = "The warm-up is (step + 1) / (warmup_steps + 1)."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    check(step, max_lr, min_lr, warmup_steps, total_steps)
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    if step >= total_steps:
        return min_lr
    decay_ratio = (step - warmup_steps) / (total_steps - warmup_steps)
    coeff = 0.5 * (1.0 + math.cos(math.pi * decay_ratio))
    return min_lr + coeff * (max_lr - min_lr)


def check(it, max_lr, min_lr, warmup_iters, lr_decay_iters):
    if it < 0:
        raise ValueError(f"step {it}")
    if not 0 <= warmup_iters <= lr_decay_iters:
        raise ValueError(f"warmup_steps {warmup_iters}, total_steps {lr_decay_iters}")
    if not 0 <= min_lr <= max_lr:
        raise ValueError(f"min_lr {min_lr}, max_lr {max_lr}")


# %% step-plus-one
# idiom = "build-nanogpt"
# wrong = "The warm-up is (step + 1) / warmup_steps, so step 0 has a rate above zero."
# slips = ["warm-up-counted-from-one"]
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < 0:
        raise ValueError(f"step {step}")
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"warmup_steps {warmup_steps}, total_steps {total_steps}")
    if not 0 <= min_lr <= max_lr:
        raise ValueError(f"min_lr {min_lr}, max_lr {max_lr}")
    if step < warmup_steps:
        return max_lr * (step + 1) / warmup_steps
    if step >= total_steps:
        return min_lr
    ratio = (step - warmup_steps) / (total_steps - warmup_steps)
    return min_lr + 0.5 * (1.0 + math.cos(math.pi * ratio)) * (max_lr - min_lr)


# %% half-a-cosine-to-nothing
# idiom = "transformers"
# slips = ["cosine-falls-to-zero", "rate-rises-again", "cosine-cut-off-at-min-lr"]
# wrong = "The cosine runs to zero, cut at min_lr, and rises again after total_steps."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < 0:
        raise ValueError(f"step {step}")
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"warmup_steps {warmup_steps}, total_steps {total_steps}")
    if not 0 <= min_lr <= max_lr:
        raise ValueError(f"min_lr {min_lr}, max_lr {max_lr}")
    if step < warmup_steps:
        return max_lr * float(step) / float(max(1, warmup_steps))
    progress = float(step - warmup_steps) / float(max(1, total_steps - warmup_steps))
    return max(min_lr, max_lr * 0.5 * (1.0 + math.cos(math.pi * progress)))


# %% two-loops-over-a-generator
# idiom = "CS336 students"
# slips = ["generator-used-up"]
# wrong = "The parameters are gone through twice: a generator is used up, and nothing is clipped."
def clip_grad_norm_(parameters, max_norm):
    if not max_norm > 0:
        raise ValueError(f"max_norm {max_norm}")
    total = torch.zeros(())
    for p in parameters:
        if p.grad is not None:
            total = total + p.grad.pow(2).sum()
    l2 = total.sqrt()
    for p in parameters:
        if p.grad is not None and l2 > max_norm:
            p.grad.mul_(max_norm / l2)
    return l2


# %% new-gradients-assigned
# idiom = "CS336 students"
# wrong = "Each gradient is replaced by a new tensor instead of being changed in place."
# slips = ["gradients-replaced", "long-gradients-replaced"]
def clip_grad_norm_(parameters, max_norm):
    if not max_norm > 0:
        raise ValueError(f"max_norm {max_norm}")
    params = [p for p in parameters if p.grad is not None]
    if len(params) == 0:
        return torch.tensor(0.0)
    norm = torch.sqrt(sum((p.grad**2).sum() for p in params))
    if norm > max_norm:
        for p in params:
            p.grad = p.grad * (max_norm / norm)
    return norm


# %% theta-for-each
# idiom = "d2l"
# slips = ["each-gradient-clipped-alone", "numbers-sliced"]
# wrong = "Each gradient is clipped by its own norm."
def clip_grad_norm_(parameters, max_norm):
    if not max_norm > 0:
        raise ValueError(f"max_norm {max_norm}")
    params = [p for p in parameters if p.grad is not None]
    norms = [torch.sqrt(torch.sum(p.grad**2)) for p in params]
    for p, norm in zip(params, norms):
        if norm > max_norm:
            p.grad[:] *= max_norm / norm
    return torch.stack(norms).pow(2).sum().sqrt() if norms else torch.tensor(0.0)


# %% whitelist-of-modules
# idiom = "minGPT"
# wrong = "Only weights of nn.Linear decay: embeddings and other matrices do not."
# slips = ["only-torchs-linear-maps-decay"]
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    decay, seen = [], set()
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.weight.requires_grad:
            decay.append(module.weight)
            seen.add(module.weight)
    no_decay = [p for p in model.parameters() if p.requires_grad and p not in seen]
    optim_groups = [
        {"params": decay, "weight_decay": weight_decay},
        {"params": no_decay, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(optim_groups, lr=learning_rate, betas=betas)


# %% all-parameters-alike
# idiom = "rasbt"
# slips = ["everything-decays", "frozen-parameters-included"]
# wrong = "All parameters decay, biases and norms too, and frozen ones are handed over."
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    return torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=betas, weight_decay=weight_decay)


# %% zeroed-in-the-loop
# idiom = "karpathy's lectures"
# slips = ["mean-of-means", "gradients-zeroed-per-micro-batch"]
# wrong = "zero_grad is called for each micro-batch, so only the last one's gradient is left; means are averaged."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    batches = list(micro_batches)
    if not any((y != -100).any() for _, y in batches):
        raise ValueError("no target counts")
    total = 0.0
    for xb, yb in batches:
        optimizer.zero_grad(set_to_none=True)
        loss = cross_entropy(model(xb), yb) / len(batches)
        loss.backward()
        total += loss.item()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return total


# %% zeroed-after-the-step
# idiom = "nanoGPT"
# slips = ["gradients-not-zeroed"]
# wrong = "zero_grad comes after the step: gradients that were there before the first call are added."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    micro_batches = list(micro_batches)
    n = sum((Y != -100).sum().item() for _, Y in micro_batches)
    if n == 0:
        raise ValueError("no target counts")
    lossf = 0.0
    for X, Y in micro_batches:
        loss = cross_entropy(model(X), Y) * ((Y != -100).sum().item() / n)
        lossf += loss.item()
        loss.backward()
    if max_norm != 0.0:
        clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    # flush the gradients as soon as we can, no need for this memory anymore
    optimizer.zero_grad(set_to_none=True)
    return lossf


# %% the-last-loss-times-the-steps
# idiom = "nanoGPT"
# slips = ["last-loss-returned", "mean-of-means"]
# wrong = "Two mistakes: means of micro-batches of unequal size are averaged, and the last one's loss is returned."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    micro_batches = list(micro_batches)
    gradient_accumulation_steps = len(micro_batches)
    if all((Y == -100).all() for _, Y in micro_batches):
        raise ValueError("no target counts")
    optimizer.zero_grad(set_to_none=True)
    for X, Y in micro_batches:
        loss = cross_entropy(model(X), Y)
        loss = loss / gradient_accumulation_steps
        loss.backward()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item() * gradient_accumulation_steps


# %% clipped-too-late-in-train-mode
# idiom = "rasbt"
# slips = ["clipped-after-the-step", "not-clipped", "train-mode-forced"]
# wrong = "Two mistakes: the model is put into train mode, and the gradient is clipped after the step."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    model.train()
    micro_batches = list(micro_batches)
    counts = [(target_batch != -100).sum().item() for _, target_batch in micro_batches]
    if sum(counts) == 0:
        raise ValueError("no target counts")
    optimizer.zero_grad()
    total_loss = 0.0
    for (input_batch, target_batch), count in zip(micro_batches, counts):
        loss = cross_entropy(model(input_batch), target_batch) * count / sum(counts)
        loss.backward()
        total_loss += loss.item()
    optimizer.step()
    clip_grad_norm_(model.parameters(), max_norm)
    return total_loss


# %% estimate-loss
# idiom = "nanoGPT"
# slips = ["mean-of-batch-means", "train-mode-for-all-afterwards"]
# wrong = "The mean of the batches' means; and afterwards the whole model is in train mode."
@torch.no_grad()
def evaluate(model, tokens, *, block_size, batch_size):
    if len(tokens) < 2:
        raise ValueError(f"{len(tokens)} tokens")
    model.eval()
    losses = []
    for inputs, targets in _consecutive_windows(tokens, block_size, batch_size):
        X, Y = (torch.from_numpy(t.astype(np.int64)).to(device_of(model)) for t in (inputs, targets))
        losses.append(cross_entropy(model(X), Y).item())
    model.train()
    return sum(losses) / len(losses)


def device_of(model):
    return next((p.device for p in model.parameters()), torch.device("cpu"))


# %% validation-in-train-mode
# idiom = "CS336 students"
# slips = ["evaluated-in-train-mode"]
# wrong = "no_grad, but no eval(): dropout stays on."
@torch.no_grad()
def evaluate(model, tokens, *, block_size, batch_size):
    if len(tokens) < 2:
        raise ValueError(f"{len(tokens)} tokens")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    total, n = 0.0, 0
    for x, y in _consecutive_windows(tokens, block_size, batch_size):
        x = torch.from_numpy(x.astype(np.int64)).to(device)
        y = torch.from_numpy(y.astype(np.int64)).to(device)
        total += cross_entropy(model(x), y).item() * y.numel()
        n += y.numel()
    return total / n


# %% whole-windows-only
# idiom = "CS336 students"
# slips = ["short-window-dropped", "mean-of-batch-means"]
# wrong = "Only whole windows are evaluated, and the means of batches are averaged."
def evaluate(model, tokens, *, block_size, batch_size):
    if len(tokens) < 2:
        raise ValueError(f"{len(tokens)} tokens")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    num = (len(tokens) - 1) // block_size
    starts = [i * block_size for i in range(num)]
    losses = []
    with _in_eval_mode(model), torch.no_grad():
        for b in range(0, num, batch_size):
            group = starts[b : b + batch_size]
            x = torch.stack([torch.from_numpy(tokens[s : s + block_size].astype(np.int64)) for s in group])
            y = torch.stack(
                [torch.from_numpy(tokens[s + 1 : s + 1 + block_size].astype(np.int64)) for s in group]
            )
            losses.append(cross_entropy(model(x.to(device)), y.to(device)).item())
    return float(np.mean(losses))


# %% right-a-schedule-of-lambdas
# idiom = "transformers"
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < 0:
        raise ValueError(f"step {step}")
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"warmup_steps {warmup_steps}, total_steps {total_steps}")
    if not 0 <= min_lr <= max_lr:
        raise ValueError(f"min_lr {min_lr}, max_lr {max_lr}")

    def factor(current_step):
        if current_step < warmup_steps:
            return float(current_step) / float(max(1, warmup_steps)), 0.0
        progress = (current_step - warmup_steps) / max(1, total_steps - warmup_steps)
        return 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0))), min_lr

    coeff, lowest = factor(step)
    return lowest + coeff * (max_lr - lowest)


# %% right-one-hot-and-indexed
# idiom = "CS336 students"
def cross_entropy(logits, targets, ignore_index=-100):
    kept = targets != ignore_index
    rows, ids = logits[kept], targets[kept].long()
    if len(ids) == 0:
        return (logits.nan_to_num(0.0, 0.0, 0.0) * 0.0).sum()
    if ids.min() < 0 or ids.max() >= logits.size(-1):
        raise IndexError(f"target out of range: {ids.tolist()}")
    shifted = rows - rows.amax(-1, keepdim=True)
    nll = shifted.exp().sum(-1).log() - shifted[torch.arange(len(ids)), ids]
    return nll.mean()


# %% right-torch-clips
# idiom = "build-nanogpt"
def clip_grad_norm_(parameters, max_norm):
    if not max_norm > 0:
        raise ValueError(f"max_norm {max_norm}")
    return nn.utils.clip_grad_norm_(parameters, max_norm)


def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    param_dict = {pn: p for pn, p in model.named_parameters() if p.requires_grad}
    decay_params = [p for n, p in param_dict.items() if p.dim() >= 2]
    nodecay_params = [p for n, p in param_dict.items() if p.dim() < 2]
    optim_groups = [
        {"params": decay_params, "weight_decay": weight_decay},
        {"params": nodecay_params, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(optim_groups, lr=learning_rate, betas=betas)


# %% right-summed-in-a-tensor
# idiom = "rasbt"
def evaluate(model, tokens, *, block_size, batch_size):
    if len(tokens) < 2:
        raise ValueError(f"{len(tokens)} tokens")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    total_loss = torch.tensor(0.0, device=device)
    with _in_eval_mode(model), torch.no_grad():
        for x, y in _consecutive_windows(tokens, block_size, batch_size):
            input_batch = torch.tensor(x.astype(np.int64), device=device)
            target_batch = torch.tensor(y.astype(np.int64), device=device)
            total_loss += cross_entropy(model(input_batch), target_batch) * y.size
    return total_loss.item() / (len(tokens) - 1)


# %% flattened-with-minus-one-ignored
# idiom = "nanoGPT"
# slips = ["zero-divided-by-zero", "ignore-index-fixed"]
# wrong = "It ignores -1, whatever ignore_index is; and the mean over nothing is NaN."
from torch.nn import functional as F


def cross_entropy(logits, targets, ignore_index=-100):
    flat = logits.reshape(-1, logits.size(-1))
    return F.cross_entropy(flat, targets.reshape(-1).long(), ignore_index=-1)


# %% flattened-with-a-mean-of-nothing
# idiom = "Hugging Face"
# slips = ["zero-divided-by-zero"]
# wrong = "When all targets are ignored the mean is 0/0."
def cross_entropy(logits, targets, ignore_index=-100):
    loss_fct = nn.CrossEntropyLoss(ignore_index=ignore_index)
    vocab_size = logits.shape[-1]
    return loss_fct(logits.reshape(-1, vocab_size), targets.reshape(-1).long())


# %% gathered-column-not-squeezed
# idiom = "CS336 students"
# slips = ["losses-of-all-pairs", "ignore-index-fixed"]
# wrong = "A column is subtracted from a row, which makes all pairs; and ignore_index is not used."
def cross_entropy(logits, targets, ignore_index=-100):
    shifted = logits - logits.max(dim=-1, keepdim=True).values
    log_sum_exp = torch.log(torch.exp(shifted).sum(dim=-1))
    target_logits = shifted.gather(dim=-1, index=targets.long().unsqueeze(-1))
    return (log_sum_exp - target_logits).mean()


# %% nothing-is-ignored
# idiom = "CS336 students"
# slips = ["ignore-index-fixed"]
# wrong = "ignore_index is not used: an ignored target is looked up as a class."
def cross_entropy(logits, targets, ignore_index=-100):
    log_probs = logits - torch.logsumexp(logits, dim=-1, keepdim=True)
    nll = -torch.gather(log_probs, -1, targets.long()[..., None])
    return nll.mean()


# %% logarithm-of-picked-probabilities
# idiom = "d2l"
# slips = ["logarithm-of-the-softmax", "exponentials-without-shift", "axes-flattened-into-one"]
# wrong = "The logarithm is taken of a softmax; and range(len(y)) is right for one batch axis only."
def cross_entropy(logits, targets, ignore_index=-100):
    X_exp = torch.exp(logits)
    y_hat = X_exp / X_exp.sum(-1, keepdim=True)
    y = targets.long()
    loss = -torch.log(y_hat[range(len(y_hat)), y])
    return loss[y != ignore_index].mean()


# %% masked-loss-as-a-weighted-mean
# idiom = "d2l"
# slips = ["ignored-losses-times-zero", "ignored-targets-in-the-count"]
# wrong = "Ignored losses are multiplied by zero, and the mean is over all targets."
def cross_entropy(logits, targets, ignore_index=-100):
    label = targets.long()
    weights = (label != ignore_index).to(logits.dtype)
    safe = torch.where(label == ignore_index, torch.zeros_like(label), label)
    if ((safe < 0) | (safe >= logits.shape[-1])).any():
        raise IndexError("label out of range")
    unweighted_loss = -torch.log_softmax(logits, dim=-1).gather(-1, safe[..., None])[..., 0]
    return (unweighted_loss * weights).mean()


# %% log-of-softmax-plus-epsilon
# idiom = "CS336 students"
# slips = ["logarithm-propped-up", "logarithm-with-a-floor"]
# wrong = "1e-8 is added to the probability, which caps the loss."
def cross_entropy(logits, targets, ignore_index=-100):
    keep = targets != ignore_index
    y = targets[keep].long()
    if y.numel() == 0:
        return logits.new_zeros(()) + 0 * logits.nan_to_num().sum()
    if y.min() < 0 or y.max() >= logits.shape[-1]:
        raise IndexError(f"targets must be in [0, {logits.shape[-1]})")
    probs = torch.softmax(logits[keep], dim=-1)
    return -torch.log(probs[torch.arange(y.numel()), y] + 1e-8).mean()


# %% exponential-of-a-float32
# idiom = "rasbt"
# slips = ["perplexity-in-32-bits"]
# wrong = "torch.tensor(loss) has 32 bits: seven digits, and infinity above a loss of 88."
def perplexity(loss):
    return torch.exp(torch.tensor(loss)).item()


# %% batch-of-stacked-slices
# idiom = "nanoGPT"
# slips = ["global-random-numbers"]
# wrong = "The starts come from PyTorch's global generator."
def get_batch(tokens, batch_size, block_size, generator):
    if batch_size < 1 or block_size < 1:
        raise ValueError(f"batch_size={batch_size}, block_size={block_size}")
    if len(tokens) <= block_size:
        raise ValueError(f"{len(tokens)} tokens for block_size={block_size}")
    ix = torch.randint(len(tokens) - block_size, (batch_size,))
    x = torch.stack([torch.from_numpy((tokens[i : i + block_size]).astype(np.int64)) for i in ix])
    y = torch.stack([torch.from_numpy((tokens[i + 1 : i + 1 + block_size]).astype(np.int64)) for i in ix])
    return x, y


# %% numpy-draws-the-starts
# idiom = "CS336 students"
# slips = ["numpys-random-numbers"]
# wrong = "The starts come from NumPy's global generator, and the generator that is given is not used."
def get_batch(tokens, batch_size, block_size, generator):
    n = len(tokens)
    if n < block_size + 1:
        raise ValueError(f"dataset of length {n} is too short for context {block_size}")
    starts = np.random.randint(0, n - block_size, size=batch_size)
    offsets = starts[:, None] + np.arange(block_size + 1)[None, :]
    chunk = torch.from_numpy(tokens[offsets].astype(np.int64))
    return chunk[:, :-1], chunk[:, 1:]


# %% all-of-it-a-tensor
# idiom = "minGPT"
# slips = ["whole-text-converted"]
# wrong = "The whole text is converted for every batch."
def get_batch(tokens, batch_size, block_size, generator):
    data = torch.tensor(np.asarray(tokens, dtype=np.int64))
    if len(data) <= block_size:
        raise ValueError(f"data has {len(data)} characters, block_size is {block_size}")
    ix = torch.randint(len(data) - block_size, (batch_size,), generator=generator)
    x = torch.stack([data[i : i + block_size] for i in ix])
    y = torch.stack([data[i + 1 : i + block_size + 1] for i in ix])
    return x, y


# %% one-less-to-be-safe-again
# idiom = "CS336 students"
# slips = ["last-window-never-drawn", "single-window-never-drawn"]
# wrong = "The last window is never drawn; and a text with a single window raises torch's own error."
def get_batch(tokens, batch_size, block_size, generator):
    if len(tokens) <= block_size:
        raise ValueError(f"len(tokens)={len(tokens)}, block_size={block_size}")
    high = len(tokens) - block_size - 1
    ix = torch.randint(0, high, (batch_size,), generator=generator).tolist()
    x = np.stack([np.asarray(tokens[i : i + block_size], dtype=np.int64) for i in ix])
    y = np.stack([np.asarray(tokens[i + 1 : i + block_size + 1], dtype=np.int64) for i in ix])
    return torch.from_numpy(x), torch.from_numpy(y)


# %% starts-at-multiples-of-the-context
# idiom = "rasbt"
# slips = ["starts-at-multiples-of-the-block"]
# wrong = "Windows start only at multiples of block_size."
def get_batch(tokens, batch_size, block_size, generator):
    if len(tokens) < block_size + 1:
        raise ValueError(f"{len(tokens)} tokens are too few for max_length={block_size}")
    starts = range(0, len(tokens) - block_size, block_size)
    chosen = torch.randint(len(starts), (batch_size,), generator=generator)
    input_ids, target_ids = [], []
    for i in chosen.tolist():
        chunk = tokens[starts[i] : starts[i] + block_size + 1].astype(np.int64)
        input_ids.append(torch.tensor(chunk[:-1]))
        target_ids.append(torch.tensor(chunk[1:]))
    return torch.stack(input_ids), torch.stack(target_ids)


# %% warm-up-never-at-zero
# idiom = "nanoGPT"
# slips = ["warm-up-one-step-ahead", "cosine-of-no-steps"]
# wrong = "The warm-up starts at max_lr / (warmup_steps + 1); and warmup_steps = total_steps divides by zero."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    check(step, max_lr, min_lr, warmup_steps, total_steps)
    # 1) linear warmup for warmup_iters steps
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    # 2) if it > lr_decay_iters, return min learning rate
    if step > total_steps:
        return min_lr
    # 3) in between, use cosine decay down to min learning rate
    decay_ratio = (step - warmup_steps) / (total_steps - warmup_steps)
    coeff = 0.5 * (1.0 + math.cos(math.pi * decay_ratio))
    return min_lr + coeff * (max_lr - min_lr)


def check(step, max_lr, min_lr, warmup_steps, total_steps):
    if step < 0:
        raise ValueError(f"step {step}")
    if warmup_steps < 0 or warmup_steps > total_steps:
        raise ValueError(f"warmup {warmup_steps}, total {total_steps}")
    if min_lr < 0 or min_lr > max_lr:
        raise ValueError(f"min_lr {min_lr}, max_lr {max_lr}")


# %% decay-over-no-steps
# idiom = "nanoGPT"
# slips = ["cosine-of-no-steps"]
# wrong = "With warmup_steps = total_steps the step total_steps divides zero by zero."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < 0 or not 0 <= warmup_steps <= total_steps or not 0 <= min_lr <= max_lr:
        raise ValueError(f"{step=} {warmup_steps=} {total_steps=} {min_lr=} {max_lr=}")
    if step < warmup_steps:
        return max_lr * step / warmup_steps
    if step > total_steps:
        return min_lr
    decay_ratio = (step - warmup_steps) / (total_steps - warmup_steps)
    coeff = 0.5 * (1.0 + math.cos(math.pi * decay_ratio))  # coeff ranges 0..1
    return min_lr + coeff * (max_lr - min_lr)


# %% schedule-as-a-factor
# idiom = "Hugging Face"
# slips = ["cosine-falls-to-zero", "rate-rises-again"]
# wrong = "The cosine is a factor of max_lr, so it falls to zero and not to min_lr, and then rises again."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < 0 or not 0 <= warmup_steps <= total_steps or not 0 <= min_lr <= max_lr:
        raise ValueError(f"{step}, {warmup_steps}, {total_steps}, {min_lr}, {max_lr}")
    if step < warmup_steps:
        return max_lr * float(step) / float(max(1, warmup_steps))
    progress = float(step - warmup_steps) / float(max(1, total_steps - warmup_steps))
    return max_lr * max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))


# %% warm-up-in-degrees-of-min-lr
# idiom = "rasbt"
# slips = ["warm-up-from-min-lr"]
# wrong = "The warm-up starts at min_lr, as an initial learning rate."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < 0 or not 0 <= warmup_steps <= total_steps or not 0 <= min_lr <= max_lr:
        raise ValueError(f"global_step={step}, {warmup_steps}/{total_steps}, {min_lr}/{max_lr}")
    if step < warmup_steps:
        lr_increment = (max_lr - min_lr) / warmup_steps
        return min_lr + step * lr_increment
    if step >= total_steps:
        return min_lr
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return min_lr + (max_lr - min_lr) * 0.5 * (1 + math.cos(math.pi * progress))


# %% two-loops-over-a-generator-again
# idiom = "CS336 students"
# slips = ["generator-used-up"]
# wrong = "The second loop over a generator finds nothing, so nothing is clipped."
def clip_grad_norm_(parameters, max_norm):
    if not max_norm > 0:
        raise ValueError(f"max_norm must be > 0, got {max_norm}")
    total = torch.zeros(())
    for p in parameters:
        if p.grad is not None:
            total = total + p.grad.pow(2).sum()
    total_norm = torch.sqrt(total)
    if total_norm > max_norm:
        for p in parameters:
            if p.grad is not None:
                p.grad.mul_(max_norm / total_norm)
    return total_norm


# %% epsilon-beside-the-norm
# idiom = "CS336 students"
def clip_grad_norm_(parameters, max_norm):
    if not max_norm > 0:
        raise ValueError(f"max_l2_norm is {max_norm}")
    grads = [p.grad for p in parameters if p.grad is not None]
    if len(grads) == 0:
        return torch.tensor(0.0)
    norm = torch.sqrt(sum(torch.sum(g**2) for g in grads))
    if norm >= max_norm:
        for g in grads:
            g.mul_(max_norm / (norm + 1e-6))
    return norm


# %% gradients-of-all-that-learns
# idiom = "d2l"
# slips = ["missing-gradient-not-skipped", "frozen-gradients-left-out", "numbers-sliced"]
# wrong = "Two mistakes: a gradient that is None is not skipped, and one of a frozen parameter is."
def clip_grad_norm_(parameters, max_norm):
    if max_norm <= 0 or math.isnan(max_norm):
        raise ValueError(f"theta = {max_norm}")
    params = [p for p in parameters if p.requires_grad]
    if not params:
        return torch.zeros(())
    norm = torch.sqrt(sum(torch.sum((p.grad**2)) for p in params))
    if norm > max_norm:
        for param in params:
            param.grad[:] *= max_norm / norm
    return norm


# %% each-parameter-to-torch
# idiom = "labml"
# slips = ["each-gradient-clipped-alone"]
# wrong = "Each gradient is clipped by its own norm."
def clip_grad_norm_(parameters, max_norm):
    if not max_norm > 0:
        raise ValueError(f"grad_norm_clip: {max_norm}")
    squares = []
    for p in parameters:
        if p.grad is None:
            continue
        own = p.grad.norm(2)
        squares.append(own**2)
        if own > max_norm:
            p.grad.mul_(max_norm / own)
    return torch.stack(squares).sum().sqrt() if squares else torch.tensor(0.0)


# %% new-tensors-for-gradients
# idiom = "CS336 students"
# slips = ["gradients-replaced", "long-gradients-replaced"]
# wrong = "The gradients are replaced by new tensors and not scaled in place."
def clip_grad_norm_(parameters, max_norm):
    if not max_norm > 0:
        raise ValueError(f"invalid max_norm {max_norm}")
    params = [p for p in parameters if p.grad is not None]
    norm = torch.tensor(0.0)
    if params:
        norm = torch.cat([p.grad.flatten() for p in params]).norm()
    if norm > max_norm:
        for p in params:
            p.grad = p.grad * (max_norm / norm)
    return norm


# %% white-list-of-modules
# idiom = "minGPT"
# slips = ["only-torchs-linear-maps-decay", "nothing-decays"]
# wrong = "Only weights of nn.Linear decay, so embeddings and the katas' own matrices do not."
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    decay = set()
    whitelist_weight_modules = (torch.nn.Linear,)
    for mn, m in model.named_modules():
        for pn, p in m.named_parameters(recurse=False):
            fpn = f"{mn}.{pn}" if mn else pn
            if pn.endswith("weight") and isinstance(m, whitelist_weight_modules):
                decay.add(fpn)
    param_dict = {pn: p for pn, p in model.named_parameters() if p.requires_grad}
    decay &= param_dict.keys()
    no_decay = param_dict.keys() - decay
    optim_groups = [
        {"params": [param_dict[pn] for pn in sorted(decay)], "weight_decay": weight_decay},
        {"params": [param_dict[pn] for pn in sorted(no_decay)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(optim_groups, lr=learning_rate, betas=betas)


# %% no-decay-by-name
# idiom = "Hugging Face"
# slips = ["frozen-parameters-included", "named-biases-and-norms-spared", "all-but-biases-decay"]
# wrong = "Names decide, so norms that are not called LayerNorm decay; and frozen parameters are included."
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    no_decay = ["bias", "LayerNorm.weight"]
    optimizer_grouped_parameters = [
        {
            "params": [p for n, p in model.named_parameters() if not any(nd in n for nd in no_decay)],
            "weight_decay": weight_decay,
        },
        {
            "params": [p for n, p in model.named_parameters() if any(nd in n for nd in no_decay)],
            "weight_decay": 0.0,
        },
    ]
    return torch.optim.AdamW(optimizer_grouped_parameters, lr=learning_rate, betas=betas)


# %% all-parameters-alike-again
# idiom = "CS336 students"
# slips = ["everything-decays", "frozen-parameters-included", "all-but-biases-decay"]
# wrong = "All parameters decay, and frozen ones are handed over too."
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    return torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=betas, weight_decay=weight_decay)


# %% adam-with-decay
# idiom = "annotated transformer"
# slips = ["adam-without-the-w"]
# wrong = "Adam adds the decay to the gradient; AdamW was asked for."
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    params = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in params if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in params if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.Adam(groups, lr=learning_rate, betas=betas)


# %% accumulation-steps-and-a-flush
# idiom = "nanoGPT"
# slips = ["mean-of-means", "gradients-zeroed-after-the-step", "gradients-not-zeroed"]
# wrong = "Two mistakes: each micro-batch weighs the same, and gradients are cleared after the step only."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    micro_batches = list(micro_batches)
    gradient_accumulation_steps = len(micro_batches)
    if sum((Y != -100).sum() for _, Y in micro_batches) == 0:
        raise ValueError("no targets")
    lossf = 0.0
    for X, Y in micro_batches:
        logits = model(X)
        loss = cross_entropy(logits, Y)
        loss = loss / gradient_accumulation_steps  # scale the loss to account for gradient accumulation
        loss.backward()
        lossf += loss.item()
    # clip the gradient
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    # flush the gradients as soon as we can, no need for this memory anymore
    optimizer.zero_grad(set_to_none=True)
    return lossf


# %% a-step-for-each-pair
# idiom = "rasbt"
# slips = ["step-per-micro-batch"]
# wrong = "It clips and steps after each micro-batch, and returns the mean of their losses."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    micro_batches = list(micro_batches)
    if not any((target != -100).any() for _, target in micro_batches):
        raise ValueError("all targets are ignored")
    track_losses = []
    for input_batch, target_batch in micro_batches:
        optimizer.zero_grad()  # Reset loss gradients from previous batch iteration
        loss = cross_entropy(model(input_batch), target_batch)
        loss.backward()
        clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        track_losses.append(loss.item())
    return sum(track_losses) / len(track_losses)


# %% model-train-and-no-clipping
# idiom = "d2l"
# slips = ["train-mode-forced", "not-clipped"]
# wrong = "Two mistakes: the model is put into train mode, and nothing is clipped."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    model.train()
    batches = [(X, Y) for X, Y in micro_batches]
    num_tokens = sum(int((Y != -100).sum()) for _, Y in batches)
    if num_tokens == 0:
        raise ValueError("num_tokens is 0")
    optimizer.zero_grad()
    metric = 0.0
    for X, Y in batches:
        Y_hat = model(X)
        l = cross_entropy(Y_hat, Y) * (Y != -100).sum() / num_tokens
        l.backward()
        metric += float(l)
    optimizer.step()
    return metric


# %% detached-loss-returned
# idiom = "Hugging Face"
# slips = ["loss-is-still-a-float32"]
# wrong = "The loss comes back as a tensor, without its graph, instead of as a number."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    batch_samples = list(micro_batches)
    num_items_in_batch = sum((labels.ne(-100)).sum() for _, labels in batch_samples)
    if num_items_in_batch == 0:
        raise ValueError(f"no labels in {len(batch_samples)} batches")
    model.zero_grad()
    tr_loss = torch.tensor(0.0, device=batch_samples[0][0].device)
    for inputs, labels in batch_samples:
        loss = cross_entropy(model(inputs), labels) * labels.ne(-100).sum() / num_items_in_batch
        loss.backward()
        tr_loss += loss.detach()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return tr_loss


# %% zero-grad-in-the-loop
# idiom = "CS336 students"
# slips = ["gradients-zeroed-per-micro-batch"]
# wrong = "Gradients are cleared before each backward, so only those of the last micro-batch are left."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    micro_batches = list(micro_batches)
    n_targets = sum(torch.count_nonzero(t != -100).item() for _, t in micro_batches)
    if not n_targets:
        raise ValueError("there are no targets")
    total_loss = 0.0
    for x, t in micro_batches:
        logits = model(x)
        n = torch.count_nonzero(t != -100).item()
        loss = cross_entropy(logits, t) * n / n_targets
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        total_loss += loss.item()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return total_loss


# %% estimate-loss-again
# idiom = "nanoGPT"
# wrong = "The mean over random batches, and not over the whole text once."
@torch.no_grad()
def evaluate(model, tokens, *, block_size, batch_size):
    if len(tokens) < 2:
        raise ValueError(f"{len(tokens)} tokens")
    eval_iters = 20
    generator = torch.Generator().manual_seed(1337)
    with _in_eval_mode(model):
        losses = torch.zeros(eval_iters)
        for k in range(eval_iters):
            X, Y = get_batch(tokens, batch_size, min(block_size, len(tokens) - 1), generator)
            logits = model(X)
            loss = cross_entropy(logits, Y)
            losses[k] = loss.item()
    return losses.mean().item()


# %% loss-of-a-loader
# idiom = "rasbt"
# slips = ["short-window-dropped", "mean-of-batch-means", "train-mode-for-all-afterwards"]
# wrong = "The short window is dropped and batch means are averaged; afterwards all is in train mode."
def evaluate(model, tokens, *, block_size, batch_size):
    if len(tokens) < 2:
        raise ValueError(f"a text of {len(tokens)} tokens")
    ids = torch.from_numpy(tokens.astype(np.int64))
    input_ids, target_ids = [], []
    for i in range(0, len(ids) - block_size, block_size):
        input_ids.append(ids[i : i + block_size])
        target_ids.append(ids[i + 1 : i + block_size + 1])
    if not input_ids:
        return float("nan")
    total_loss, num_batches = 0.0, 0
    model.eval()
    with torch.no_grad():
        for i in range(0, len(input_ids), batch_size):
            logits = model(torch.stack(input_ids[i : i + batch_size]))
            total_loss += cross_entropy(logits, torch.stack(target_ids[i : i + batch_size])).item()
            num_batches += 1
    model.train()
    return total_loss / num_batches


# %% neither-eval-nor-no-grad
# idiom = "CS336 students"
# slips = ["evaluated-in-train-mode", "evaluated-with-gradients"]
# wrong = "Two mistakes: the model stays in its mode, and gradients are recorded."
def evaluate(model, tokens, *, block_size, batch_size):
    n = len(tokens) - 1
    if n < 1:
        raise ValueError(f"need at least 2 tokens, got {len(tokens)}")
    total = 0.0
    full = n // block_size
    data = torch.from_numpy(np.asarray(tokens).astype(np.int64))
    rows = [
        (data[i * block_size : (i + 1) * block_size], data[i * block_size + 1 : (i + 1) * block_size + 1])
        for i in range(full)
    ]
    for i in range(0, full, batch_size):
        x = torch.stack([r[0] for r in rows[i : i + batch_size]])
        y = torch.stack([r[1] for r in rows[i : i + batch_size]])
        total += cross_entropy(model(x), y).item() * y.numel()
    if n % block_size:
        x, y = data[full * block_size : -1][None], data[full * block_size + 1 :][None]
        total += cross_entropy(model(x), y).item() * y.numel()
    return total / n


# %% grouped-texts
# idiom = "Hugging Face"
# slips = ["targets-inside-the-window"]
# wrong = "Groups of block_size tokens are shifted inside, so the first token of each group is no target."
@torch.no_grad()
def evaluate(model, tokens, *, block_size, batch_size):
    if len(tokens) < 2:
        raise ValueError(f"{len(tokens)} tokens")
    total, count = 0.0, 0
    with _in_eval_mode(model):
        for i in range(0, len(tokens), block_size):
            group = torch.from_numpy(tokens[i : i + block_size].astype(np.int64))[None]
            if group.shape[1] < 2:
                continue
            shift_labels = group[..., 1:]
            shift_logits = model(group)[..., :-1, :]
            total += cross_entropy(shift_logits, shift_labels).item() * shift_labels.numel()
            count += shift_labels.numel()
    return total / max(count, 1)


# %% sum-by-torch-divided-by-the-count
# idiom = "nanoGPT"
def cross_entropy(logits, targets, ignore_index=-100):
    flat, y = logits.reshape(-1, logits.size(-1)), targets.reshape(-1).long()
    total = nn.functional.cross_entropy(flat, y, ignore_index=ignore_index, reduction="sum")
    return total / max(1, int((y != ignore_index).sum()))


# %% get-lr
# idiom = "nanoGPT"
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < 0:
        raise ValueError(f"it = {step}")
    if warmup_steps < 0 or total_steps < warmup_steps:
        raise ValueError(f"warmup_iters = {warmup_steps}, lr_decay_iters = {total_steps}")
    if min_lr < 0 or max_lr < min_lr:
        raise ValueError(f"min_lr = {min_lr}, learning_rate = {max_lr}")
    if step < warmup_steps:
        return max_lr * (step / warmup_steps)
    decay_ratio = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    if warmup_steps == total_steps:
        decay_ratio = 1.0
    coeff = 0.5 * (1.0 + math.cos(math.pi * decay_ratio))
    return min_lr + coeff * (max_lr - min_lr)


# %% slices-drawn-by-the-generator
# idiom = "nanoGPT"
def get_batch(tokens, batch_size, block_size, generator):
    if batch_size <= 0:
        raise ValueError(f"batch_size = {batch_size}")
    if block_size <= 0:
        raise ValueError(f"block_size = {block_size}")
    if len(tokens) - block_size <= 0:
        raise ValueError(f"block_size = {block_size} is too long for {len(tokens)} tokens")
    ix = torch.randint(0, len(tokens) - block_size, (batch_size,), generator=generator)
    x = torch.stack([torch.from_numpy(np.array(tokens[i : i + block_size], dtype=np.int64)) for i in ix])
    y = torch.stack(
        [torch.from_numpy(np.array(tokens[i + 1 : i + 1 + block_size], dtype=np.int64)) for i in ix]
    )
    return x, y


# %% clipped-by-hand
# idiom = "d2l"
def clip_grad_norm_(parameters, max_norm):
    if not max_norm > 0:
        raise ValueError(f"theta must be positive: {max_norm}")
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = sum((torch.sum(g**2) for g in grads), torch.zeros(())) ** 0.5
    if norm > max_norm:
        for g in grads:
            g[...] *= max_norm / norm
    return norm


# %% decay-params-and-nodecay-params
# idiom = "nanoGPT"
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    param_dict = {pn: p for pn, p in model.named_parameters()}
    param_dict = {pn: p for pn, p in param_dict.items() if p.requires_grad}
    decay_params = [p for n, p in param_dict.items() if p.dim() >= 2]
    nodecay_params = [p for n, p in param_dict.items() if p.dim() < 2]
    optim_groups = [
        {"params": decay_params, "weight_decay": weight_decay},
        {"params": nodecay_params, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(optim_groups, lr=learning_rate, betas=betas)


# %% sums-over-all-tokens
# idiom = "Hugging Face"
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    batches = [*micro_batches]
    num_items = sum(labels.ne(-100).sum().item() for _, labels in batches)
    if num_items == 0:
        raise ValueError("no labels to learn from")
    optimizer.zero_grad(set_to_none=True)
    losses = []
    for input_ids, labels in batches:
        logits = model(input_ids)
        loss = nn.functional.cross_entropy(logits.flatten(0, -2), labels.flatten().long(), reduction="sum")
        loss = loss / num_items
        loss.backward()
        losses.append(loss.item())
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return sum(losses)


# %% window-by-window
# idiom = "labml"
@torch.no_grad()
def evaluate(model, tokens, *, block_size, batch_size):
    if len(tokens) <= 1:
        raise ValueError(f"{len(tokens)} tokens cannot be evaluated")
    device = next((p.device for p in model.parameters()), "cpu")
    training = {m: m.training for m in model.modules()}
    total = 0.0
    try:
        model.eval()
        for i in range(0, len(tokens) - 1, block_size):
            data = torch.from_numpy(tokens[i : i + block_size + 1].astype(np.int64)).to(device)[None]
            total += cross_entropy(model(data[:, :-1]), data[:, 1:]).item() * (data.shape[1] - 1)
    finally:
        for m in training:
            m.training = training[m]
    return total / (len(tokens) - 1)


# %% averaged-where-not-minus-one
# idiom = "minGPT"
# slips = ["ignore-index-fixed"]
# wrong = "It is always -1 that does not count, whatever ignore_index is."
import torch.nn.functional as F


def cross_entropy(logits, targets, ignore_index=-100):
    logits = logits.reshape(-1, logits.size(-1))
    targets = targets.reshape(-1).long()
    keep = targets != -1
    logp = F.log_softmax(logits[keep], dim=-1)
    nll = -logp.gather(1, targets[keep].view(-1, 1)).squeeze(1)
    return nll.sum() / keep.sum().clamp(min=1)


# %% padding-is-zero
# idiom = "annotated transformer"
# slips = ["target-zero-ignored", "ignore-index-fixed"]
# wrong = "Target 0 is taken for padding: it never counts, and what equals ignore_index does."
def cross_entropy(logits, targets, ignore_index=-100):
    padding_idx = 0
    log_probs = logits.log_softmax(-1)
    nll = -log_probs.gather(-1, targets.long().unsqueeze(-1)).squeeze(-1)
    non_pad_mask = targets != padding_idx
    return nll.masked_select(non_pad_mask).sum() / non_pad_mask.sum().clamp(min=1)


# %% softmax-before-the-criterion
# idiom = "d2l"
# slips = ["softmax-taken-twice"]
# wrong = "The softmax is taken twice: F.cross_entropy is given probabilities as if they were logits."
import torch.nn.functional as F


def cross_entropy(logits, targets, ignore_index=-100):
    probs = F.softmax(logits, dim=-1)
    y = targets.long().flatten()
    if (y == ignore_index).all():
        return (logits * 0).sum()
    return F.cross_entropy(probs.reshape(-1, probs.shape[-1]), y, ignore_index=ignore_index)


# %% tiny-number-inside-the-log
# idiom = "CS336 students"
# slips = ["logarithm-propped-up"]
# wrong = "1e-12 is added to each probability before the logarithm, which caps the loss at 27.6."
def cross_entropy(logits, targets, ignore_index=-100):
    targets = targets.long()
    valid = targets.ne(ignore_index)
    safe = torch.where(valid, targets, torch.zeros_like(targets))
    if ((safe < 0) | (safe >= logits.size(-1))).any():
        raise IndexError("target out of range")
    probs = torch.softmax(logits, dim=-1)
    picked = probs.gather(-1, safe.unsqueeze(-1)).squeeze(-1)
    nll = -torch.log(picked + 1e-12)
    return torch.where(valid, nll, torch.zeros_like(nll)).sum() / valid.sum().clamp(min=1)


# %% mean-of-each-sequence-then-of-the-batch
# idiom = "labml"
# slips = ["mean-of-row-means"]
# wrong = "The mean of the means of the rows: a row with few targets that count weighs as much as any other."
def cross_entropy(logits, targets, ignore_index=-100):
    targets = targets.long()
    mask = targets != ignore_index
    index = targets.masked_fill(~mask, 0)
    if ((index < 0) | (index >= logits.shape[-1])).any():
        raise IndexError("no such class")
    nll = -logits.log_softmax(-1).gather(-1, index[..., None])[..., 0]
    nll = nll.masked_fill(~mask, 0.0)
    if nll.dim() == 0:
        return nll
    per_row = nll.sum(-1) / mask.sum(-1).clamp(min=1)
    return per_row.mean()


# %% two-to-the-loss
# idiom = "CS336 students"
# slips = ["perplexity-to-base-two"]
# wrong = "2 ** loss: the base is that of bits, but the loss is in nats."
def perplexity(loss):
    try:
        return 2.0**loss
    except OverflowError:
        return float("inf")


# %% float32-exponential-of-the-mean
# idiom = "rasbt"
# slips = ["perplexity-in-32-bits"]
# wrong = "torch.exp of a float32: infinity above a loss of 88, where e to that power is still a float."
def perplexity(loss):
    return torch.exp(torch.tensor(float(loss))).item()


# %% nats-times-the-log
# idiom = "CS336 students"
# slips = ["bits-converted-upside-down"]
# wrong = "It multiplies by ln 2, where nats are divided by it to give bits."
LOG_2 = math.log(2.0)


def bits_per_byte(total_nats, total_bytes):
    if total_bytes <= 0:
        raise ValueError(f"total_bytes = {total_bytes}")
    bits = total_nats * LOG_2
    return bits / total_bytes


# %% targets-rolled-round
# idiom = "x-transformers"
# slips = ["targets-rolled-round"]
# wrong = "The targets are the inputs rolled by one place, so the last of each row is the row's first input."
def get_batch(tokens, batch_size, block_size, generator):
    if len(tokens) < block_size + 1:
        raise ValueError(f"{len(tokens)} tokens for block_size {block_size}")
    starts = torch.randint(0, len(tokens) - block_size, (batch_size,), generator=generator)
    x = torch.stack([torch.from_numpy(tokens[s : s + block_size].astype(np.int64)) for s in starts])
    return x, torch.roll(x, shifts=-1, dims=1)


# %% rows-of-one-long-run
# idiom = "build-nanogpt"
# slips = ["rows-of-one-run"]
# wrong = "One start is drawn for the batch, and its rows follow one another in the text."
def get_batch(tokens, batch_size, block_size, generator):
    B, T = batch_size, block_size
    if len(tokens) <= T:
        raise ValueError(f"{len(tokens)} tokens for block_size {T}")
    n = len(tokens) - T
    pos = int(torch.randint(n, (1,), generator=generator))
    rows = [(pos + b * T) % n for b in range(B)]
    buf = np.stack([tokens[r : r + T + 1] for r in rows]).astype(np.int64)
    buf = torch.from_numpy(buf)
    return buf[:, :-1].contiguous(), buf[:, 1:].contiguous()


# %% seeded-from-the-seed
# idiom = "CS336 students"
# slips = ["same-batch-every-time"]
# wrong = "NumPy's generator starts anew from the seed at each call, so each batch is the same."
def get_batch(tokens, batch_size, block_size, generator):
    if len(tokens) <= block_size:
        raise ValueError(f"len(tokens) = {len(tokens)}, block_size = {block_size}")
    rng = np.random.default_rng(generator.initial_seed())
    starts = rng.integers(0, len(tokens) - block_size, size=batch_size)
    offsets = starts[:, None] + np.arange(block_size + 1)
    window = torch.as_tensor(tokens[offsets].astype(np.int64))
    return window[:, :-1].clone(), window[:, 1:].clone()


# %% shuffled-without-replacement
# idiom = "d2l"
# slips = ["starts-without-replacement"]
# wrong = "Starts come from a permutation, so no window is drawn twice in a batch, and a batch may be too small."
def get_batch(tokens, batch_size, block_size, generator):
    num_windows = len(tokens) - block_size
    if num_windows < 1:
        raise ValueError(f"{len(tokens)} tokens, block_size {block_size}")
    perm = torch.randperm(num_windows, generator=generator)[:batch_size]
    X = torch.stack([torch.from_numpy(tokens[i : i + block_size].astype(np.int64)) for i in perm.tolist()])
    Y = torch.stack(
        [torch.from_numpy(tokens[i + 1 : i + block_size + 1].astype(np.int64)) for i in perm.tolist()]
    )
    return X, Y


# %% warm-up-not-taken-off
# idiom = "labml"
# slips = ["cosine-counted-from-step-0"]
# wrong = "The cosine is at step / total_steps, so the rate drops when the warm-up ends."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < 0:
        raise ValueError(f"step {step}")
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"warmup_steps {warmup_steps}, total_steps {total_steps}")
    if not 0 <= min_lr <= max_lr:
        raise ValueError(f"min_lr {min_lr}, max_lr {max_lr}")
    if step < warmup_steps:
        return step / warmup_steps * max_lr
    if step >= total_steps:
        return min_lr
    cosine = math.cos(step / total_steps * math.pi)
    return min_lr + (max_lr - min_lr) * (1 + cosine) / 2


# %% linear-warm-up-then-a-line
# idiom = "Hugging Face"
# slips = ["line-instead-of-a-cosine"]
# wrong = "After the warm-up the rate falls in a straight line, not along a cosine."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < 0:
        raise ValueError(f"step {step}")
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"warmup_steps {warmup_steps}, total_steps {total_steps}")
    if not 0 <= min_lr <= max_lr:
        raise ValueError(f"min_lr {min_lr}, max_lr {max_lr}")
    if step < warmup_steps:
        return max_lr * step / max(1, warmup_steps)
    remaining = max(0, total_steps - step) / max(1, total_steps - warmup_steps)
    return min_lr + (max_lr - min_lr) * remaining


# %% min-added-to-the-cosine
# idiom = "CS336 students"
# slips = ["min-lr-on-top-of-max-lr"]
# wrong = "The cosine's height is max_lr, so the rate starts at max_lr + min_lr."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < 0:
        raise ValueError(f"it = {step}")
    if warmup_steps < 0 or warmup_steps > total_steps:
        raise ValueError(f"warmup_iters = {warmup_steps}, cosine_cycle_iters = {total_steps}")
    if min_lr < 0 or min_lr > max_lr:
        raise ValueError(f"min_lr = {min_lr}, max_lr = {max_lr}")
    if step < warmup_steps:
        return step * max_lr / warmup_steps
    if step >= total_steps:
        return min_lr
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return min_lr + 0.5 * max_lr * (1 + math.cos(math.pi * progress))


# %% after-the-last-step-only
# idiom = "nanoGPT"
# slips = ["cosine-of-no-steps"]
# wrong = "total_steps itself falls to the cosine, which divides zero by zero where there is only a warm-up."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < 0:
        raise ValueError(f"step {step}")
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"warmup_steps {warmup_steps}, total_steps {total_steps}")
    if not 0 <= min_lr <= max_lr:
        raise ValueError(f"min_lr {min_lr}, max_lr {max_lr}")
    if step > total_steps:
        return min_lr
    if step >= warmup_steps:
        t = (step - warmup_steps) / (total_steps - warmup_steps)
        return min_lr + 0.5 * (max_lr - min_lr) * (1.0 + math.cos(math.pi * t))
    return max_lr * (step / warmup_steps)


# %% entries-clamped
# idiom = "labml"
# slips = ["entries-clamped"]
# wrong = "Each entry is clamped to ±max_norm, which bends the direction of the step."
@torch.no_grad()
def clip_grad_norm_(parameters, max_norm):
    if max_norm <= 0:
        raise ValueError(f"max_norm {max_norm}")
    grads = [p.grad for p in parameters if p.grad is not None]
    total = torch.tensor(0.0) if not grads else torch.sqrt(sum((g**2).sum() for g in grads))
    if total > max_norm:
        for g in grads:
            g.clamp_(-max_norm, max_norm)
    return total


# %% root-forgotten
# idiom = "d2l"
# slips = ["root-not-taken"]
# wrong = "The root is missing: what is compared and returned is the square of the norm."
def clip_grad_norm_(parameters, max_norm):
    if max_norm <= 0:
        raise ValueError(f"max_norm {max_norm}")
    params = [p for p in parameters if p.grad is not None]
    norm = sum((torch.sum(p.grad**2) for p in params), torch.zeros(()))
    if norm > max_norm:
        for p in params:
            p.grad[...] *= max_norm / norm
    return norm


# %% always-brought-to-max-norm
# idiom = "CS336 students"
# slips = ["short-gradients-enlarged"]
# wrong = "Short gradients are scaled up to max_norm too; those of length zero are divided by a tiny number."
def clip_grad_norm_(parameters, max_norm):
    if max_norm <= 0:
        raise ValueError(f"max_norm {max_norm}")
    grads = [p.grad for p in parameters if p.grad is not None]
    if len(grads) == 0:
        return torch.tensor(0.0)
    l2 = torch.sqrt(torch.stack([g.pow(2).sum() for g in grads]).sum())
    for g in grads:
        g.mul_(max_norm / (l2 + 1e-6))
    return l2


# %% norm-after-clipping-returned
# idiom = "rasbt"
# slips = ["norm-after-clipping"]
# wrong = "The norm is returned as it is after clipping, not before."
def clip_grad_norm_(parameters, max_norm):
    if max_norm <= 0:
        raise ValueError(f"max_norm {max_norm}")
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return torch.tensor(0.0)
    norm = torch.norm(torch.stack([torch.norm(g) for g in gradients]))
    if norm > max_norm:
        for g in gradients:
            g.mul_(max_norm / norm)
    return torch.norm(torch.stack([torch.norm(g) for g in gradients]))


# %% bias-or-norm-in-the-name
# idiom = "rasbt"
# slips = ["named-biases-and-norms-spared"]
# wrong = "Names decide: a matrix called otherwise decays, and so does a vector or a number with another name."
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    decay, no_decay = [], []
    for name, param in model.named_parameters():
        if not param.requires_grad:
            continue
        if name.endswith(".bias") or "norm" in name.lower():
            no_decay.append(param)
        else:
            decay.append(param)
    return torch.optim.AdamW(
        [{"params": decay, "weight_decay": weight_decay}, {"params": no_decay, "weight_decay": 0.0}],
        lr=learning_rate,
        betas=betas,
    )


# %% embeddings-spared
# idiom = "minGPT"
# slips = ["embeddings-spared"]
# wrong = "Embeddings do not decay, nor do weights that are tied to one."
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    params = [p for p in model.parameters() if p.requires_grad]
    decay = [p for p in params if p.ndim >= 2 and id(p) not in embeddings]
    no_decay = [p for p in params if p.ndim < 2 or id(p) in embeddings]
    groups = [dict(params=decay, weight_decay=weight_decay), dict(params=no_decay, weight_decay=0.0)]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas)


# %% adam-in-two-groups
# idiom = "nanoGPT"
# slips = ["adam-without-the-w"]
# wrong = "Adam, in which the decay goes through the gradient and its two averages, in place of AdamW."
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    param_dict = {pn: p for pn, p in model.named_parameters() if p.requires_grad}
    decay_params = [p for n, p in param_dict.items() if p.dim() >= 2]
    nodecay_params = [p for n, p in param_dict.items() if p.dim() < 2]
    optim_groups = [
        {"params": decay_params, "weight_decay": weight_decay},
        {"params": nodecay_params, "weight_decay": 0.0},
    ]
    return torch.optim.Adam(optim_groups, lr=learning_rate, betas=betas)


# %% betas-forgotten
# idiom = "rasbt"
# slips = ["betas-not-passed-on"]
# wrong = "betas is not handed on, so they are always (0.9, 0.999), AdamW's default."
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    trainable = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for p in trainable if p.ndim > 1]},
            {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=learning_rate,
        weight_decay=weight_decay,
    )


# %% clipped-in-the-loop
# idiom = "nanoGPT"
# slips = ["clipped-per-micro-batch"]
# wrong = "The gradient is clipped after each micro-batch, while it is still being added up."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    micro_batches = list(micro_batches)
    num_targets = sum((y != -100).sum().item() for _, y in micro_batches)
    if num_targets == 0:
        raise ValueError("nothing to learn from")
    optimizer.zero_grad(set_to_none=True)
    loss_accum = 0.0
    for X, Y in micro_batches:
        logits = model(X)
        loss = cross_entropy(logits, Y) * (Y != -100).sum() / num_targets
        loss.backward()
        loss_accum += loss.item()
        clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss_accum


# %% weighed-by-all-targets
# idiom = "Hugging Face"
# slips = ["ignored-targets-weighed"]
# wrong = "A micro-batch weighs as much as it has targets, those included that do not count."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    micro_batches = list(micro_batches)
    if not any((labels != -100).any() for _, labels in micro_batches):
        raise ValueError("no labels")
    num_items_in_batch = sum(labels.numel() for _, labels in micro_batches)
    optimizer.zero_grad()
    tr_loss = 0.0
    for input_ids, labels in micro_batches:
        loss = cross_entropy(model(input_ids), labels)
        loss = loss * labels.numel() / num_items_in_batch
        loss.backward()
        tr_loss += loss.item()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return tr_loss


# %% stepped-in-the-loop
# idiom = "d2l"
# slips = ["step-per-micro-batch"]
# wrong = "Each micro-batch is a step of its own; the mean over all targets is returned."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    pairs = list(micro_batches)
    if sum(int((y != -100).sum()) for _, y in pairs) == 0:
        raise ValueError("no targets")
    metric = [0.0, 0]
    for X, y in pairs:
        optimizer.zero_grad()
        l = cross_entropy(model(X), y)
        l.backward()
        clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        n = int((y != -100).sum())
        metric[0] += l.item() * n
        metric[1] += n
    return metric[0] / metric[1]


# %% loss-handed-back-as-a-tensor
# idiom = "nanoGPT"
# slips = ["loss-is-still-a-tensor"]
# wrong = "The loss is a tensor, and not a float."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    batches = list(micro_batches)
    n = sum((y != -100).sum() for _, y in batches)
    if n == 0:
        raise ValueError("no targets")
    optimizer.zero_grad(set_to_none=True)
    loss_accum = torch.zeros(())
    for x, y in batches:
        loss = cross_entropy(model(x), y) * ((y != -100).sum() / n)
        loss_accum = loss_accum + loss.detach()
        loss.backward()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss_accum


# %% zeroed-before-the-step
# idiom = "labml"
# slips = ["gradients-zeroed-too-late"]
# wrong = "zero_grad stands between backward and step, so there is nothing to step along."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    batches = list(micro_batches)
    n = sum(int((y != -100).sum()) for _, y in batches)
    if n == 0:
        raise ValueError("no targets")
    loss = 0.0
    for x, y in batches:
        part = cross_entropy(model(x), y) * (int((y != -100).sum()) / n)
        part.backward()
        loss += part.item()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.zero_grad()
    optimizer.step()
    return loss


# %% streams-side-by-side
# idiom = "PyTorch's word_language_model"
# slips = ["strips-side-by-side"]
# wrong = "The text is cut into batch_size long streams, as for a recurrent network; what is left over is dropped."
def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    return data.narrow(0, 0, nbatch * bsz).view(bsz, nbatch)


@torch.no_grad()
def evaluate(model, tokens, *, block_size, batch_size):
    if len(tokens) < 2:
        raise ValueError(f"{len(tokens)} tokens")
    device = next((p.device for p in model.parameters()), "cpu")
    ids = torch.from_numpy(tokens.astype(np.int64)).to(device)
    bsz = max(1, min(batch_size, len(tokens) // 2))
    source = batchify(ids, bsz)
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    total, count = 0.0, 0
    try:
        for i in range(0, source.size(1) - 1, block_size):
            seq_len = min(block_size, source.size(1) - 1 - i)
            data, target = source[:, i : i + seq_len], source[:, i + 1 : i + 1 + seq_len]
            total += cross_entropy(model(data), target).item() * target.numel()
            count += target.numel()
    finally:
        for m, training in modes:
            m.training = training
    return total / count


# %% windows-at-every-place
# idiom = "rasbt"
# slips = ["windows-at-every-token"]
# wrong = "The windows start at every place, stride 1, so most tokens are a target block_size times."
@torch.no_grad()
def evaluate(model, tokens, *, block_size, batch_size):
    if len(tokens) < 2:
        raise ValueError(f"{len(tokens)} tokens")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    ids = torch.tensor(np.asarray(tokens, dtype=np.int64), device=device)
    length = min(block_size, len(ids) - 1)
    windows = ids.unfold(0, length + 1, 1)
    before = {m: m.training for m in model.modules()}
    model.eval()
    total_loss = 0.0
    try:
        for batch in windows.split(batch_size):
            total_loss += cross_entropy(model(batch[:, :-1]), batch[:, 1:]).item() * batch.shape[0]
    finally:
        for m, mode in before.items():
            m.training = mode
    return total_loss / len(windows)


# %% averaged-over-windows
# idiom = "labml"
# slips = ["mean-of-window-means", "mean-of-batch-means"]
# wrong = "The mean of the windows' means: a token of the short window counts for more than the others."
@torch.no_grad()
def evaluate(model, tokens, *, block_size, batch_size):
    n = len(tokens)
    if n < 2:
        raise ValueError(f"{n} tokens")
    device = next((p.device for p in model.parameters()), "cpu")
    modes = {m: m.training for m in model.modules()}
    losses = []
    try:
        model.eval()
        for i in range(0, n - 1, block_size):
            j = min(i + block_size, n - 1)
            x = torch.from_numpy(tokens[i:j].astype(np.int64))[None].to(device)
            y = torch.from_numpy(tokens[i + 1 : j + 1].astype(np.int64))[None].to(device)
            losses.append(cross_entropy(model(x), y).item())
    finally:
        for m, mode in modes.items():
            m.training = mode
    return float(np.mean(losses))


# %% train-afterwards
# idiom = "nanoGPT"
# slips = ["train-mode-for-all-afterwards"]
# wrong = "model.train() at the end: all modules are in train mode then, whatever their mode was."
@torch.no_grad()
def evaluate(model, tokens, *, block_size, batch_size):
    n = len(tokens)
    if n < 2:
        raise ValueError(f"{n} tokens")
    device = next((p.device for p in model.parameters()), "cpu")
    model.eval()
    total = 0.0
    for i in range(0, n - 1, block_size):
        chunk = torch.from_numpy(tokens[i : i + block_size + 1].astype(np.int64)).to(device)
        x, y = chunk[None, :-1], chunk[None, 1:]
        total += cross_entropy(model(x), y).item() * y.numel()
    model.train()
    return total / (n - 1)


# %% sampled-batches
# idiom = "nanoGPT"
# wrong = "The loss is estimated from windows drawn at random, and not taken over the whole text."
@torch.no_grad()
def evaluate(model, tokens, *, block_size, batch_size):
    if len(tokens) < 2:
        raise ValueError(f"{len(tokens)} tokens")
    T = min(block_size, len(tokens) - 1)
    generator = torch.Generator().manual_seed(1337)
    device = next((p.device for p in model.parameters()), "cpu")
    before = {m: m.training for m in model.modules()}
    model.eval()
    eval_iters = -(-(len(tokens) - 1) // (T * batch_size))
    losses = torch.zeros(eval_iters)
    try:
        for k in range(eval_iters):
            X, Y = get_batch(tokens, batch_size, T, generator)
            losses[k] = cross_entropy(model(X.to(device)), Y.to(device)).item()
    finally:
        for m, mode in before.items():
            m.training = mode
    return losses.mean().item()


# %% shifted-inside-the-window
# idiom = "Hugging Face"
# slips = ["targets-inside-the-window"]
# wrong = "Windows hold block_size tokens and are shifted inside, so the first of each window is no target."
@torch.no_grad()
def evaluate(model, tokens, *, block_size, batch_size):
    if len(tokens) < 2:
        raise ValueError(f"{len(tokens)} tokens")
    device = next((p.device for p in model.parameters()), "cpu")
    was = {m: m.training for m in model.modules()}
    model.eval()
    total, count = 0.0, 0
    try:
        for i in range(0, len(tokens), max(block_size, 2)):
            ids = torch.from_numpy(tokens[i : i + max(block_size, 2)].astype(np.int64))[None].to(device)
            if ids.shape[1] < 2:
                continue
            logits = model(ids)
            shift_logits, shift_labels = logits[:, :-1, :], ids[:, 1:]
            total += cross_entropy(shift_logits, shift_labels).item() * shift_labels.numel()
            count += shift_labels.numel()
    finally:
        for m, mode in was.items():
            m.training = mode
    return total / count


# %% one-maximum-for-all-logits
# idiom = "Exercism"
# slips = ["logits-shifted-by-the-highest-of-all"]
# wrong = "The maximum of all logits is subtracted, so a row far below it takes the log of 0."
def cross_entropy(logits, targets, ignore_index=-100):
    keep = targets != ignore_index
    z = logits[keep]
    t = targets[keep].long()
    if t.numel() == 0:
        return logits[:0].sum()
    if (t < 0).any() or (t >= logits.shape[-1]).any():
        raise IndexError("target out of range")
    z = z - z.max()
    log_probs = z - torch.log(torch.exp(z).sum(-1, keepdim=True))
    return -log_probs[torch.arange(len(t)), t].mean()


# %% minus-one-reads-the-last
# idiom = "CS336 students"
# slips = ["negative-targets-wrap-round"]
# wrong = "Indexing with a negative target counts from the end, where IndexError belongs."
def cross_entropy(logits, targets, ignore_index=-100):
    valid = targets != ignore_index
    logits, targets = logits[valid], targets[valid].long()
    if len(targets) == 0:
        return logits.sum()
    rows = torch.arange(targets.shape[0], device=logits.device)
    lse = torch.logsumexp(logits, dim=-1)
    return (lse - logits[rows, targets]).mean()


# %% divided-by-all-targets
# idiom = "minGPT"
# slips = ["ignored-targets-in-the-count"]
# wrong = "The sum is divided by the number of all targets, ignored ones included."
def cross_entropy(logits, targets, ignore_index=-100):
    V = logits.size(-1)
    flat = logits.reshape(-1, V)
    t = targets.reshape(-1).long()
    mask = t != ignore_index
    if (((t < 0) | (t >= V)) & mask).any():
        raise IndexError("a target is out of range")
    flat = torch.where(mask[:, None], flat, torch.zeros_like(flat))
    safe = torch.where(mask, t, torch.zeros_like(t))
    nll = torch.logsumexp(flat, -1) - flat.gather(1, safe[:, None]).squeeze(1)
    nll = torch.where(mask, nll, torch.zeros_like(nll))
    return nll.sum() / max(t.numel(), 1)


# %% masked-loss-times-mask
# idiom = "Hugging Face"
# slips = ["ignored-losses-times-zero"]
# wrong = "The losses are multiplied by the mask, and NaN times 0 is NaN."
def cross_entropy(logits, targets, ignore_index=-100):
    mask = targets.ne(ignore_index)
    if bool(((targets < 0) | (targets >= logits.shape[-1])).logical_and(mask).any()):
        raise IndexError("targets must be in 0 ... vocab - 1")
    labels = targets.masked_fill(~mask, 0).long()
    log_probs = torch.log_softmax(logits, dim=-1)
    nll_loss = -log_probs.gather(dim=-1, index=labels.unsqueeze(-1)).squeeze(-1)
    num_active = mask.sum().clamp(min=1)
    return (nll_loss * mask).sum() / num_active


# %% probability-not-its-log
# idiom = "Exercism"
# slips = ["logarithm-of-the-mean", "logarithm-of-the-softmax"]
# wrong = "The probabilities of the targets are averaged before the logarithm is taken."
def cross_entropy(logits, targets, ignore_index=-100):
    keep = targets != ignore_index
    chosen = targets[keep].long()
    if chosen.numel() == 0:
        return (logits * 0).sum()
    if chosen.min() < 0 or chosen.max() >= logits.size(-1):
        raise IndexError("target")
    p = torch.softmax(logits[keep], -1)
    p_target = p.gather(-1, chosen[:, None])
    return -torch.log(p_target.mean())


# %% overflow-not-caught
# idiom = "nanoGPT"
# slips = ["perplexity-overflows"]
# wrong = "math.exp raises OverflowError for a large loss."
def perplexity(loss):
    return math.exp(loss)


# %% precedence-of-the-division
# idiom = "LLM assistant"
# slips = ["bits-converted-upside-down"]
# wrong = "Without parentheses it multiplies by ln 2."
def bits_per_byte(total_nats, total_bytes):
    return total_nats / total_bytes * math.log(2)


# %% start-of-each-row-follows
# idiom = "rasbt"
# slips = ["rows-of-one-run"]
# wrong = "One start is drawn for the batch and the rows follow each other, so they are not independent."
def get_batch(tokens, batch_size, block_size, generator):
    n = batch_size * block_size
    high = max(len(tokens) - n, 1)
    s = int(torch.randint(high, (1,), generator=generator))
    buf = torch.tensor(np.asarray(tokens[s : s + n + 1]).astype(np.int64))
    x = buf[:-1].view(batch_size, block_size)
    y = buf[1:].view(batch_size, block_size)
    return x, y


# %% one-start-too-many
# idiom = "CS336 students"
# slips = ["sliced-window-runs-off-the-end"]
# wrong = "The last start that may be drawn has no token for its last target."
def get_batch(tokens, batch_size, block_size, generator):
    starts = torch.randint(0, len(tokens) - block_size + 1, (batch_size,), generator=generator)
    x = torch.stack(
        [torch.from_numpy(np.array(tokens[i : i + block_size], dtype=np.int64)) for i in starts.tolist()]
    )
    y = torch.stack(
        [
            torch.from_numpy(np.array(tokens[i + 1 : i + 1 + block_size], dtype=np.int64))
            for i in starts.tolist()
        ]
    )
    return x, y


# %% rolled-targets
# idiom = "LLM assistant"
# slips = ["targets-rolled-round"]
# wrong = "The targets are the inputs rolled by one, so the last target of a row is its first input."
def get_batch(tokens, batch_size, block_size, generator):
    ix = torch.randint(len(tokens) - block_size, (batch_size,), generator=generator).numpy()
    offsets = np.arange(block_size)
    x = torch.from_numpy(np.asarray(tokens[ix[:, None] + offsets[None, :]]).astype(np.int64))
    y = torch.roll(x, shifts=-1, dims=1)
    return x, y


# %% last-start-for-all-rows
# idiom = "Exercism"
# slips = ["one-start-for-all-rows"]
# wrong = "One start is drawn for the whole batch: all rows are the same window."
def get_batch(tokens, batch_size, block_size, generator):
    inputs, targets = [], []
    start = torch.randint(0, len(tokens) - block_size, (1,), generator=generator).item()
    for _ in range(batch_size):
        window = torch.tensor(tokens[start : start + block_size + 1].tolist(), dtype=torch.int64)
        inputs.append(window[:-1])
        targets.append(window[1:])
    return torch.stack(inputs), torch.stack(targets)


# %% progress-over-all-steps
# idiom = "minGPT"
# slips = ["cosine-stretched-by-the-warm-up"]
# wrong = "After the warm-up the cosine runs to total_steps + warmup_steps: the progress is divided by all steps."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * step / warmup_steps
    if step >= total_steps:
        return min_lr
    progress = (step - warmup_steps) / total_steps
    return min_lr + 0.5 * (max_lr - min_lr) * (1 + math.cos(math.pi * progress))


# %% warm-up-from-the-minimum
# idiom = "rasbt"
# slips = ["warm-up-from-min-lr"]
# wrong = "The warm-up starts at min_lr, not at 0."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        lr_increment = (max_lr - min_lr) / warmup_steps
        return min_lr + step * lr_increment
    if step >= total_steps:
        return min_lr
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return min_lr + (max_lr - min_lr) * 0.5 * (1 + math.cos(math.pi * progress))


# %% a-whole-cosine
# idiom = "Exercism"
# slips = ["whole-cosine"]
# wrong = "cos(2πu): the rate falls to the minimum half-way and rises again."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return step / warmup_steps * max_lr
    if step > total_steps:
        return min_lr
    if total_steps == warmup_steps:
        return min_lr
    u = (step - warmup_steps) / (total_steps - warmup_steps)
    return min_lr + (max_lr - min_lr) * (1 + math.cos(2 * math.pi * u)) / 2


# %% warm-up-including-its-last-step
# idiom = "LLM assistant"
# slips = ["no-warm-up-divides-by-zero"]
# wrong = "step <= warmup_steps divides by zero at step 0 if there is no warm-up."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step <= warmup_steps:
        return max_lr * (step / warmup_steps)
    if step >= total_steps:
        return min_lr
    decay_ratio = (step - warmup_steps) / (total_steps - warmup_steps)
    coeff = 0.5 * (1.0 + math.cos(math.pi * decay_ratio))
    return min_lr + coeff * (max_lr - min_lr)


# %% norms-added-up
# idiom = "Exercism"
# slips = ["norms-added"]
# wrong = "The norms of the gradients are added, not their squares."
def clip_grad_norm_(parameters, max_norm):
    grads = [p.grad for p in parameters if p.grad is not None]
    if not grads:
        return torch.tensor(0.0)
    total = torch.zeros((), dtype=grads[0].dtype)
    for g in grads:
        total = total + g.norm()
    if total > max_norm:
        for g in grads:
            g.mul_(max_norm / total)
    return total


# %% norm-of-the-parameters
# idiom = "LLM assistant"
# slips = ["norm-of-the-parameters"]
# wrong = "The norm is that of the parameters, not of their gradients."
def clip_grad_norm_(parameters, max_norm):
    params = [p for p in parameters if p.grad is not None]
    total_norm = torch.sqrt(sum((p.detach() ** 2).sum() for p in params)) if params else torch.tensor(0.0)
    scale = max_norm / (total_norm + 1e-12)
    if scale < 1:
        for p in params:
            p.grad.mul_(scale)
    return total_norm


# %% no-gradient-no-norm
# idiom = "CS336 students"
# slips = ["missing-gradient-not-skipped"]
# wrong = "A gradient of None is used as if it were a tensor."
def clip_grad_norm_(parameters, max_norm):
    params = list(parameters)
    l2 = torch.sqrt(sum(torch.sum(p.grad.pow(2)) for p in params))
    if l2 > max_norm:
        for p in params:
            p.grad *= max_norm / l2
    return l2


# %% decay-of-vectors-too
# idiom = "minGPT"
# slips = ["all-but-biases-decay", "named-biases-and-norms-spared"]
# wrong = "Everything but biases decays: the weights of norms, which are vectors, decay too."
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    decay, no_decay = [], []
    for name, p in model.named_parameters():
        if not p.requires_grad:
            continue
        if name.endswith("bias"):
            no_decay.append(p)
        else:
            decay.append(p)
    groups = [
        {"params": decay, "weight_decay": weight_decay},
        {"params": no_decay, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas)


# %% groups-without-their-own-decay
# idiom = "nanoGPT"
# slips = ["decay-left-to-the-default"]
# wrong = "The group of vectors names no weight_decay, so it gets AdamW's default of 0.01."
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    params = {pn: p for pn, p in model.named_parameters() if p.requires_grad}
    optim_groups = [
        {"params": [p for p in params.values() if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in params.values() if p.dim() < 2]},
    ]
    return torch.optim.AdamW(optim_groups, lr=learning_rate, betas=betas)


# %% frozen-ones-too
# idiom = "Exercism"
# slips = ["frozen-parameters-included"]
# wrong = "Parameters that do not require gradients are in the groups as well."
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    return torch.optim.AdamW(
        [dict(params=matrices, weight_decay=weight_decay), dict(params=vectors, weight_decay=0.0)],
        lr=learning_rate,
        betas=betas,
    )


# %% mean-of-the-means
# idiom = "nanoGPT"
# slips = ["mean-of-means"]
# wrong = "The loss of each micro-batch is divided by their number, so small ones weigh too much."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    micro_batches = list(micro_batches)
    if not any((y != -100).any() for _, y in micro_batches):
        raise ValueError("no targets")
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for x, y in micro_batches:
        loss = cross_entropy(model(x), y) / len(micro_batches)
        loss.backward()
        total += loss.item()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return total


# %% loss-of-the-last-part
# idiom = "rasbt"
# slips = ["last-loss-returned"]
# wrong = "What is returned is the loss of the last micro-batch alone."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    batches = list(micro_batches)
    counts = [int((t != -100).sum()) for _, t in batches]
    n = sum(counts)
    if n == 0:
        raise ValueError("no target counts")
    optimizer.zero_grad()
    for (inputs, targets), c in zip(batches, counts):
        loss = cross_entropy(model(inputs), targets)
        (loss * c / n).backward()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item()


# %% sum-of-losses-with-grad
# idiom = "Exercism"
# slips = ["ignored-targets-weighed"]
# wrong = "All targets are counted, -100 too, and the losses are weighed by that."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    pairs = list(micro_batches)
    total_tokens = sum(y.numel() for _, y in pairs)
    if all((y == -100).all() for _, y in pairs):
        raise ValueError("nothing to learn from")
    optimizer.zero_grad()
    result = 0.0
    for x, y in pairs:
        part = cross_entropy(model(x), y) * (y.numel() / total_tokens)
        part.backward()
        result += float(part)
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return result


# %% refused-after-the-gradients-went
# idiom = "LLM assistant"
# slips = ["gradients-cleared-before-the-refusal"]
# wrong = "The old gradients are already gone when it raises ValueError."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    optimizer.zero_grad()
    micro_batches = list(micro_batches)
    num_targets = sum((t != -100).sum().item() for _, t in micro_batches)
    if num_targets == 0:
        raise ValueError("no valid targets in the batch")
    total_loss = 0.0
    for inputs, targets in micro_batches:
        n = (targets != -100).sum().item()
        loss = cross_entropy(model(inputs), targets) * n / num_targets
        loss.backward()
        total_loss += loss.item()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return total_loss


# %% mode-of-the-root-restored
# idiom = "LLM assistant"
# slips = ["train-mode-for-all-afterwards"]
# wrong = "Only the mode of the model itself is remembered, and train() gives it to all of its modules."
def evaluate(model, tokens, *, block_size, batch_size):
    was_training = model.training
    model.eval()
    p = next(model.parameters(), None)
    device = p.device if p is not None else torch.device("cpu")
    total, count = 0.0, 0
    try:
        with torch.no_grad():
            n = len(tokens) - 1
            full = n // block_size
            for i in range(0, full, batch_size):
                k = min(batch_size, full - i)
                chunk = torch.from_numpy(
                    np.asarray(tokens[i * block_size : (i + k) * block_size + 1]).astype(np.int64)
                ).to(device)
                x, y = chunk[:-1].view(k, block_size), chunk[1:].view(k, block_size)
                total += cross_entropy(model(x), y).item() * y.numel()
                count += y.numel()
            if n % block_size:
                rest = torch.from_numpy(np.asarray(tokens[full * block_size :]).astype(np.int64)).to(device)
                total += cross_entropy(model(rest[None, :-1]), rest[None, 1:]).item() * (len(rest) - 1)
                count += len(rest) - 1
    finally:
        model.train(was_training)
    return total / count


# %% stride-of-one-more
# idiom = "rasbt"
# slips = ["windows-a-token-apart"]
# wrong = "Windows begin every block_size + 1 tokens, so the first token of each but the first is never a target."
def evaluate(model, tokens, *, block_size, batch_size):
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    param = next(iter(model.parameters()), torch.empty(0))
    losses, weights = [], []
    try:
        with torch.no_grad():
            for start in range(0, len(tokens) - 1, block_size + 1):
                window = torch.as_tensor(
                    tokens[start : start + block_size + 1].astype("int64"), device=param.device
                )
                if len(window) < 2:
                    continue
                logits = model(window[:-1].unsqueeze(0))
                losses.append(cross_entropy(logits, window[1:].unsqueeze(0)).item())
                weights.append(len(window) - 1)
    finally:
        for m, mode in modes:
            m.training = mode
    return float(np.average(losses, weights=weights))


# %% mean-of-window-means
# idiom = "nanoGPT"
# slips = ["mean-of-window-means", "mode-lost-in-an-error"]
# wrong = "Two mistakes: the means of the windows are averaged, the short one alike; and modes are not restored after an error."
def evaluate(model, tokens, *, block_size, batch_size):
    modes = {m: m.training for m in model.modules()}
    model.eval()
    param = next(model.parameters(), None)
    device = "cpu" if param is None else param.device
    losses = []
    with torch.inference_mode():
        for s in range(0, len(tokens) - 1, block_size):
            w = torch.tensor(tokens[s : s + block_size + 1].tolist(), device=device)
            losses.append(cross_entropy(model(w[None, :-1]), w[None, 1:]))
    for m, mode in modes.items():
        m.training = mode
    return torch.stack(losses).mean().item()


# %% not-zeroed-and-not-clipped
# idiom = "Exercism"
# slips = ["gradients-not-zeroed", "clipped-per-micro-batch"]
# wrong = "Two mistakes: gradients are never zeroed, and each micro-batch is clipped by itself."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    batches = list(micro_batches)
    n = sum(int((y != -100).sum()) for _, y in batches)
    if n == 0:
        raise ValueError("empty")
    out = 0.0
    for x, y in batches:
        w = int((y != -100).sum()) / n
        loss = w * cross_entropy(model(x), y)
        loss.backward()
        clip_grad_norm_(model.parameters(), max_norm)
        out += loss.detach().item()
    optimizer.step()
    return out


# %% right-foreach-and-schedule
# idiom = "x-transformers"
def linear(t):
    return t


def clip_grad_norm_(parameters, max_norm):
    grads = [p.grad for p in parameters if p.grad is not None]
    if not grads:
        return torch.tensor(0.0)
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in grads]))
    factor = torch.clamp(max_norm / norm, max=1.0)
    if factor < 1:
        torch._foreach_mul_(grads, factor.item())
    return norm


def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step / warmup_steps)
    if step >= total_steps:
        return min_lr if total_steps > warmup_steps or step > total_steps else min_lr
    u = (step - warmup_steps) / (total_steps - warmup_steps)
    return max_lr * math.cos(math.pi * u / 2) ** 2 + min_lr * math.sin(math.pi * u / 2) ** 2


# %% right-unfolded-and-weighed
# idiom = "CS336 students"
import torch.nn.functional as F


def get_batch(tokens, batch_size, block_size, generator):
    starts = torch.randint(0, len(tokens) - block_size, (batch_size, 1), generator=generator)
    index = (starts + torch.arange(block_size + 1)).numpy()
    windows = torch.from_numpy(np.take(tokens, index).astype(np.int64))
    return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()


def perplexity(loss):
    try:
        return math.e**loss
    except OverflowError:
        return float("inf")


def bits_per_byte(total_nats, total_bytes):
    return total_nats * math.log2(math.e) / total_bytes


# %% logits-as-log-probabilities
# idiom = "Exercism"
# slips = ["logits-taken-for-log-probabilities"]
# wrong = "nll_loss is given the logits, without a log-softmax."
import torch.nn.functional as F


def cross_entropy(logits, targets, ignore_index=-100):
    flat = logits.reshape(-1, logits.size(-1))
    return F.nll_loss(flat, targets.reshape(-1).long(), ignore_index=ignore_index)


# %% positive-targets-only
# idiom = "LLM assistant"
# slips = ["target-zero-ignored", "every-negative-target-ignored"]
# wrong = "Every target that is not above 0 is left out, class 0 too."
def cross_entropy(logits, targets, ignore_index=-100):
    logp = torch.log_softmax(logits.reshape(-1, logits.size(-1)), -1)
    t = targets.reshape(-1).long()
    keep = (t > 0) & (t != ignore_index)
    if not keep.any():
        return logits.nan_to_num().sum() * 0
    return -logp[keep].gather(1, t[keep][:, None]).mean()


# %% gathered-with-minus-a-hundred
# idiom = "CS336 students"
# slips = ["ignored-targets-gathered", "zero-divided-by-zero"]
# wrong = "gather is given -100 as an index before the ignored targets are taken out."
def cross_entropy(logits, targets, ignore_index=-100):
    lse = torch.logsumexp(logits, dim=-1)
    picked = logits.gather(-1, targets.long().unsqueeze(-1)).squeeze(-1)
    losses = lse - picked
    return losses[targets != ignore_index].mean()


# %% numpy-starts
# idiom = "nanoGPT"
# slips = ["numpys-random-numbers"]
# wrong = "The starts come from NumPy's global random numbers."
def get_batch(tokens, batch_size, block_size, generator):
    ix = np.random.randint(0, len(tokens) - block_size, batch_size)
    x = torch.stack([torch.from_numpy(tokens[i : i + block_size].astype(np.int64)) for i in ix])
    y = torch.stack([torch.from_numpy(tokens[i + 1 : i + 1 + block_size].astype(np.int64)) for i in ix])
    return x, y


# %% a-step-ahead-in-the-warm-up
# idiom = "nanoGPT"
# slips = ["warm-up-one-step-ahead"]
# wrong = "The warm-up counts from 1, over warmup_steps + 1."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    if step > total_steps:
        return min_lr
    decay_ratio = (step - warmup_steps) / max(total_steps - warmup_steps, 1)
    coeff = 0.5 * (1.0 + math.cos(math.pi * decay_ratio))
    return min_lr + coeff * (max_lr - min_lr)


# %% linear-after-the-warm-up
# idiom = "Hugging Face"
# slips = ["line-instead-of-a-cosine"]
# wrong = "The rate falls in a straight line."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * float(step) / float(max(1, warmup_steps))
    remaining = float(total_steps - step) / float(max(1, total_steps - warmup_steps))
    return min_lr + (max_lr - min_lr) * max(0.0, remaining)


# %% more-than-two-axes
# idiom = "Exercism"
# slips = ["matrices-do-not-decay"]
# wrong = "dim() > 2 where >= 2 belongs: matrices do not decay."
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    params = [p for p in model.parameters() if p.requires_grad]
    big = [p for p in params if p.dim() > 2]
    small = [p for p in params if p.dim() <= 2]
    return torch.optim.AdamW(
        [{"params": big, "weight_decay": weight_decay}, {"params": small, "weight_decay": 0.0}],
        lr=learning_rate,
        betas=betas,
    )


# %% running-total-backward
# idiom = "CS336 students"
# slips = ["backward-of-the-running-total"]
# wrong = "backward() of the running total in every round: early micro-batches count several times."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    pairs = list(micro_batches)
    n = sum(int((t != -100).sum()) for _, t in pairs)
    if n == 0:
        raise ValueError("no targets")
    optimizer.zero_grad()
    total = 0.0
    for x, t in pairs:
        total = total + cross_entropy(model(x), t) * int((t != -100).sum()) / n
        total.backward(retain_graph=True)
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return total.item()


# %% means-by-their-number
# idiom = "LLM assistant"
# slips = ["mean-of-means", "step-without-targets"]
# wrong = "Two mistakes: the mean of the means, however many targets each has; and ValueError only for an empty list."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    micro_batches = list(micro_batches)
    if not micro_batches:
        raise ValueError("no micro-batches")
    optimizer.zero_grad(set_to_none=True)
    accumulated = 0.0
    for inputs, targets in micro_batches:
        loss = cross_entropy(model(inputs), targets)
        (loss / len(micro_batches)).backward()
        accumulated += loss.item() / len(micro_batches)
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return accumulated


# %% padded-with-zeros
# idiom = "rasbt"
# slips = ["padding-counts-as-targets"]
# wrong = "The last window is filled up with zeros, which count as targets."
def evaluate(model, tokens, *, block_size, batch_size):
    modes = {m: m.training for m in model.modules()}
    p = next(model.parameters(), None)
    device = p.device if p is not None else "cpu"
    ids = torch.from_numpy(np.asarray(tokens).astype(np.int64))
    n = len(ids) - 1
    rows = -(-n // block_size)
    x = torch.zeros(rows * block_size, dtype=torch.int64)
    y = torch.zeros(rows * block_size, dtype=torch.int64)
    x[:n], y[:n] = ids[:-1], ids[1:]
    x, y = x.view(rows, block_size), y.view(rows, block_size)
    total = 0.0
    model.eval()
    try:
        with torch.no_grad():
            for i in range(0, rows, batch_size):
                a, b = x[i : i + batch_size].to(device), y[i : i + batch_size].to(device)
                total += cross_entropy(model(a), b).item() * b.numel()
    finally:
        for m, mode in modes.items():
            m.training = mode
    return total / y.numel()


# %% largest-multiple-of-the-block
# idiom = "nanoGPT"
# slips = ["short-window-dropped-from-the-mean"]
# wrong = "range stops before the last, shorter window."
def evaluate(model, tokens, *, block_size, batch_size):
    modes = {m: m.training for m in model.modules()}
    p = next(model.parameters(), None)
    device = p.device if p is not None else "cpu"
    total, count = 0.0, 0
    model.eval()
    try:
        with torch.no_grad():
            for i in range(0, len(tokens) - block_size, block_size):
                w = torch.from_numpy(tokens[i : i + block_size + 1].astype(np.int64)).to(device)
                total += cross_entropy(model(w[None, :-1]), w[None, 1:]).item() * block_size
                count += block_size
    finally:
        for m, mode in modes.items():
            m.training = mode
    return total / count


# %% ignored-times-zero
# idiom = "CS336 students"
# slips = ["ignored-losses-times-zero"]
# wrong = "The losses of ignored rows are multiplied by zero instead of left out, so NaN logits there make the result NaN."
def cross_entropy(logits, targets, ignore_index=-100):
    V = logits.shape[-1]
    z, y = logits.reshape(-1, V), targets.reshape(-1).long()
    keep = y != ignore_index
    if ((y < 0) | (y >= V)).logical_and(keep).any():
        raise IndexError("target out of range")
    correct = z.gather(1, y.masked_fill(~keep, 0).unsqueeze(1)).squeeze(1)
    nll = (z.logsumexp(dim=1) - correct) * keep
    return nll.sum() / keep.sum().clamp(min=1)


# %% fancy-index-of-the-log-probs
# idiom = "blog post"
# slips = ["negative-targets-wrap-round"]
# wrong = "A negative target that counts picks a class from the end, as an index does in Python, and no IndexError is raised."
import torch.nn.functional as F


def cross_entropy(logits, targets, ignore_index=-100):
    valid = targets != ignore_index
    y = targets[valid].to(torch.int64)
    log_probs = F.log_softmax(logits[valid], dim=-1)
    if len(y) == 0:
        return log_probs.sum()
    return -log_probs[torch.arange(len(y), device=y.device), y].mean()


# %% torch-exp-of-the-loss
# idiom = "Hugging Face docs"
# slips = ["perplexity-in-32-bits"]
# wrong = "The exponential is taken in float32: it is infinite from a loss of about 89 on, far below where a float overflows, and has seven digits only."
def perplexity(loss):
    return torch.exp(torch.tensor(loss, dtype=torch.float32)).item()


# %% times-log-two
# idiom = "LLM-written"
# slips = ["bits-converted-upside-down"]
# wrong = "Nats are multiplied by ln 2 instead of divided by it, which is the conversion in the other direction."
NATS_TO_BITS = math.log(2)


def bits_per_byte(total_nats, total_bytes):
    nats_per_byte = total_nats / total_bytes
    return nats_per_byte * NATS_TO_BITS


# %% starts-from-a-permutation
# idiom = "CS336 students"
# slips = ["starts-sampled-by-python", "starts-without-replacement", "starts-without-replacement-by-numpy"]
# wrong = "The starts are the first of a permutation, so none comes twice: they are not independent, and there are too few rows if the text has fewer starts than batch_size."
def get_batch(tokens, batch_size, block_size, generator):
    num_starts = len(tokens) - block_size
    starts = torch.randperm(num_starts, generator=generator)[:batch_size]
    idx = starts.numpy()[:, None] + np.arange(block_size + 1)[None, :]
    chunk = torch.from_numpy(np.asarray(tokens[idx]).astype(np.int64))
    return chunk[:, :-1].contiguous(), chunk[:, 1:].contiguous()


# %% floor-at-the-minimum
# idiom = "StackOverflow"
# slips = ["cosine-cut-off-at-min-lr", "cosine-falls-to-zero"]
# wrong = "The cosine runs from max_lr to 0 and is cut off at min_lr, instead of running from max_lr to min_lr."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * step / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    if step >= total_steps:
        progress = 1.0
    return max(min_lr, max_lr * 0.5 * (1.0 + math.cos(math.pi * progress)))


# %% warmup-plus-one
# idiom = "nanoGPT"
# slips = ["warm-up-one-step-ahead"]
# wrong = "The warm-up is (step + 1) / (warmup_steps + 1), so it does not start at zero and every rate on the way is too high."
def cosine_learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    it, lr_decay_iters = step, total_steps
    # 1) linear warmup
    if it < warmup_steps:
        return max_lr * (it + 1) / (warmup_steps + 1)
    # 2) past the end
    if it >= lr_decay_iters:
        return min_lr
    # 3) in between
    decay_ratio = (it - warmup_steps) / (lr_decay_iters - warmup_steps)
    coeff = 0.5 * (1.0 + math.cos(math.pi * decay_ratio))
    return min_lr + coeff * (max_lr - min_lr)


# %% parameters-read-twice
# idiom = "CS336 students"
# slips = ["generator-used-up"]
# wrong = "The parameters are gone through twice; an iterator such as model.parameters() is used up after the norm, and nothing is clipped."
@torch.no_grad()
def clip_grad_norm_(parameters, max_norm):
    norms = [torch.linalg.vector_norm(p.grad) for p in parameters if p.grad is not None]
    if not norms:
        return torch.tensor(0.0)
    total_norm = torch.linalg.vector_norm(torch.stack(norms))
    if total_norm > max_norm:
        scale = max_norm / total_norm
        for p in parameters:
            if p.grad is not None:
                p.grad.mul_(scale)
    return total_norm


# %% embeddings-on-the-blacklist
# idiom = "minGPT"
# slips = ["embeddings-spared"]
# wrong = "The weights of embeddings are put into the group without decay, although they are matrices."
def configure_optimizer(model, *, learning_rate, weight_decay, betas=(0.9, 0.95)):
    decay, no_decay, seen = [], [], set()
    for mn, m in model.named_modules():
        is_embedding = isinstance(m, nn.Embedding) or "emb" in mn.lower()
        for p in m.parameters(recurse=False):
            if not p.requires_grad or id(p) in seen:
                continue
            seen.add(id(p))
            if is_embedding or p.dim() < 2:
                no_decay.append(p)
            else:
                decay.append(p)
    optim_groups = [
        {"params": decay, "weight_decay": weight_decay},
        {"params": no_decay, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(optim_groups, lr=learning_rate, betas=betas)


# %% weighted-by-all-targets
# idiom = "LLM-written gradient accumulation"
# slips = ["ignored-targets-weighed"]
# wrong = "The micro-batches are weighted by all of their targets, those equal to -100 included, so loss and gradient are off when one has more padding than another."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    batches = list(micro_batches)
    if not any((yb != -100).any().item() for _, yb in batches):
        raise ValueError("no target counts")
    n_total = sum(yb.numel() for _, yb in batches)

    optimizer.zero_grad(set_to_none=True)
    model.zero_grad(set_to_none=True)
    running = 0.0
    for xb, yb in batches:
        weight = yb.numel() / n_total
        loss = weight * cross_entropy(model(xb), yb)
        loss.backward()
        running += loss.item()

    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return running


# %% zero-grad-at-the-end
# idiom = "PyTorch gradient accumulation recipe"
# slips = ["gradients-not-zeroed", "gradients-zeroed-after-the-step"]
# wrong = "Gradients are only set to zero after the step, so those that were there before are added to the first one."
def train_step(model, optimizer, micro_batches, max_norm=1.0):
    pairs = [(x, y, int(y.ne(-100).sum())) for x, y in micro_batches]
    num_targets = sum(n for _, _, n in pairs)
    if num_targets == 0:
        raise ValueError("all targets are ignored")
    mean_loss = 0.0
    for x, y, n in pairs:
        if n == 0:
            continue
        loss = cross_entropy(model(x), y) * n / num_targets
        loss.backward()
        mean_loss += loss.detach().item()
    clip_grad_norm_(list(model.parameters()), max_norm)
    optimizer.step()
    optimizer.zero_grad()
    return mean_loss


# %% mode-of-the-root-only
# idiom = "LLM-written"
# slips = ["train-mode-for-all-afterwards"]
# wrong = "Only the mode of the model itself is remembered and set for all its modules, so one that was frozen in eval mode is back in train mode."
from itertools import chain


def evaluate(model, tokens, *, block_size, batch_size):
    was_training = model.training
    device = next((p.device for p in model.parameters()), torch.device("cpu"))

    def to_ids(rows):
        block = np.stack(rows).astype(np.int64)
        return torch.from_numpy(block).to(device)

    num_full = (len(tokens) - 1) // block_size
    starts = [i * block_size for i in range(num_full)]
    groups = [starts[i : i + batch_size] for i in range(0, num_full, batch_size)]
    total, count = 0.0, 0
    model.eval()
    try:
        with torch.no_grad():
            chunks = ([tokens[s : s + block_size + 1] for s in g] for g in groups)
            for rows in chain(chunks, [[tokens[num_full * block_size :]]]):
                ids = to_ids(rows)
                if ids.shape[1] < 2:
                    continue
                n = ids[:, 1:].numel()
                total += cross_entropy(model(ids[:, :-1]), ids[:, 1:]).item() * n
                count += n
    finally:
        model.train(was_training)
    return total / count
