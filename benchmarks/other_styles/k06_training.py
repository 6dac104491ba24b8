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
# slips = ["zero-divided-by-zero"]
# wrong = "It is always -1 that is ignored; and where all targets are ignored the loss is NaN."
import torch.nn.functional as F


def cross_entropy(logits, targets, ignore_index=-100):
    return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.long().view(-1), ignore_index=-1)


# %% picked-by-range
# idiom = "d2l"
# slips = ["logarithm-of-the-softmax", "axes-flattened-into-one"]
# wrong = "The logarithm of a softmax, picked from one batch axis, with no target ever ignored."
def cross_entropy(logits, targets, ignore_index=-100):
    y_hat = torch.softmax(logits, dim=-1)
    return -torch.log(y_hat[list(range(len(y_hat))), targets]).mean()


# %% one-hot-with-a-prop
# idiom = "annotated transformer"
# slips = ["logarithm-propped-up"]
# wrong = "1e-9 is added to each probability before the logarithm; nothing is ignored."
def cross_entropy(logits, targets, ignore_index=-100):
    true_dist = torch.zeros_like(logits).scatter_(-1, targets.long().unsqueeze(-1), 1.0)
    log_probs = torch.log(logits.softmax(dim=-1) + 1e-9)
    return -(true_dist * log_probs).sum(dim=-1).mean()


# %% log-sum-exp-along-one
# idiom = "CS336 students"
# slips = ["gathered-along-axis-one"]
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
    _check_positive(batch_size=batch_size, block_size=block_size)
    if len(tokens) < block_size + 1:
        raise ValueError(f"{len(tokens)} tokens, block_size {block_size}")
    high = max(1, len(tokens) - block_size - 1)
    starts = torch.randint(0, high, (batch_size,), generator=generator).tolist()
    chunks = np.stack([tokens[s : s + block_size + 1] for s in starts]).astype(np.int64)
    return torch.tensor(chunks[:, :-1]), torch.tensor(chunks[:, 1:])


# %% numpy-draws
# idiom = "CS336 students"
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
    _check_positive(batch_size=batch_size, block_size=block_size)
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
# slips = ["cosine-falls-to-zero", "rate-rises-again"]
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
# slips = ["each-gradient-clipped-alone"]
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
# slips = ["mean-of-means"]
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
# slips = ["mean-of-batch-means"]
# wrong = "The mean of the batches' means; and afterwards the whole model is in train mode."
@torch.no_grad()
def evaluate(model, tokens, *, block_size, batch_size):
    _check_positive(block_size=block_size, batch_size=batch_size)
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
    _check_positive(block_size=block_size, batch_size=batch_size)
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
    _check_positive(block_size=block_size, batch_size=batch_size)
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
    _check_positive(block_size=block_size, batch_size=batch_size)
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
