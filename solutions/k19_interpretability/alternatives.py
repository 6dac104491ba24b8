"""Other correct ways to write this kata; its tests must accept every one."""

import contextlib
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from katas.k00_shapes.shapes import one_hot
from katas.k01_attention.attention import causal_mask
from katas.k02_multi_head.multi_head import merge_heads, split_heads
from katas.k05_model.model import TransformerLM
from katas.k19_interpretability.interpretability import patched, recording


@contextmanager
def recording__everything_then_chosen(
    model: TransformerLM, names: Collection[str] | None = None
) -> Iterator[dict[str, Tensor]]:
    """Hooks that note everything, and one on the model that chooses when the call is over."""
    blocks, heads = len(model.blocks), model.config.num_heads
    every = ["token_embedding", "embedding"]
    for i in range(blocks):
        every += [f"blocks.{i}", f"blocks.{i}.attention", f"blocks.{i}.feedforward"]
        every += [f"blocks.{i}.attention.weights", *(f"blocks.{i}.attention.heads.{h}" for h in range(heads))]
    chosen = every if names is None else list(names)
    if unknown := [name for name in chosen if name not in every]:
        raise ValueError(f"not in a record: {unknown}")
    record, running = {}, {}

    def note(name, x):
        running[name] = x.clone()

    def after(name):
        def hook(module, args, output):
            note(name, output)
            if name == "blocks.0":
                note("embedding", args[0])
            if name.endswith("attention"):
                x = args[0]
                weights = module.attention_weights(x, causal_mask(x.shape[1], device=x.device))
                note(f"{name}.weights", weights)
                value = split_heads(module.value_proj(x), heads)
                for h in range(heads):
                    alone = torch.zeros_like(value)
                    alone[:, h] = weights[:, h] @ value[:, h]
                    note(f"{name}.heads.{h}", merge_heads(alone) @ module.out_proj.weight.T)

        return hook

    def finish(module, args, output):
        record.clear()
        record.update({name: running[name] for name in chosen})

    parts = [(name, part) for name, part in model.named_modules() if name in every]
    modes = {part: part.training for part in model.modules()}
    handles = [part.register_forward_hook(after(name)) for name, part in parts]
    handles.append(model.register_forward_hook(finish))
    before = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    model.eval()
    try:
        yield record
    finally:
        torch.set_grad_enabled(before)
        for handle in handles:
            handle.remove()
        for part, mode in modes.items():
            part.training = mode


@contextmanager
def recording__replaced_methods(
    model: TransformerLM, names: Collection[str] | None = None
) -> Iterator[dict[str, Tensor]]:
    """No hooks: `forward` of each part is wrapped for as long as it lasts."""
    numbers, heads = range(len(model.blocks)), range(model.config.num_heads)
    suffixes = ["", ".attention", ".feedforward", ".attention.weights"]
    suffixes += [f".attention.heads.{h}" for h in heads]
    known = {"token_embedding", "embedding"} | {f"blocks.{i}{each}" for i in numbers for each in suffixes}
    names = known if names is None else set(names)
    if names - known:
        raise ValueError("no such entries: " + " ".join(sorted(names - known)))
    record = {}

    def keep(name, x):
        if name in names:
            record[name] = x.detach().clone()

    def watch(name, part):
        forward = part.forward

        def watched(x, *others, **options):
            if name == "blocks.0":
                keep("embedding", x)
            if name.endswith(".attention"):
                mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
                weights = part.attention_weights(x, mask)
                keep(f"{name}.weights", weights)
                read = merge_heads(weights @ split_heads(part.value_proj(x), len(heads)))
                width = read.shape[-1] // len(heads)
                for h in heads:
                    own = slice(h * width, (h + 1) * width)
                    keep(f"{name}.heads.{h}", F.linear(read[..., own], part.out_proj.weight[:, own]))
            out = forward(x, *others, **options)
            keep(name, out)
            return out

        part.forward = watched

    watched = {"token_embedding": model.token_embedding}
    watched |= {name: part for name, part in model.named_modules() if name in known}
    training = [part for part in model.modules() if part.training]
    for name, part in watched.items():
        watch(name, part)
    model.eval()
    try:
        with torch.no_grad():
            yield record
    finally:
        for part in watched.values():
            del part.forward
        for part in training:
            part.training = True


def logit_lens__one_call(
    model: TransformerLM, record: Mapping[str, Tensor]
) -> Float[Tensor, "depth batch seq vocab"]:
    """All depths stacked first, then one norm and one head."""
    streams = [record["embedding"]] + [record[f"blocks.{i}"] for i in range(model.config.num_layers)]
    return model.lm_head(model.final_norm(torch.stack(streams))).detach()


@torch.no_grad()
def logit_lens__loop(
    model: TransformerLM, record: Mapping[str, Tensor]
) -> Float[Tensor, "depth batch seq vocab"]:
    """A list, filled block by block, and the head as a product."""
    lens = [F.linear(model.final_norm(record["embedding"]), model.lm_head.weight)]
    for i, _ in enumerate(model.blocks):
        lens.append(F.linear(model.final_norm(record[f"blocks.{i}"]), model.lm_head.weight))
    return torch.stack(lens, dim=0)


def contributions__stacked(
    model: TransformerLM, record: Mapping[str, Tensor], tokens: Int[Tensor, "batch seq"]
) -> dict[str, Float[Tensor, "batch seq"]]:
    """All parts in one tensor, and the centring moved from the parts to the direction."""
    if model.config.norm_first is False:
        raise ValueError(f"needs norm_first=True, not {model.config.norm_first}")
    batch, seq = tokens.shape
    with torch.no_grad():
        names, parts = ["token_embedding", "position_embedding"], [record["token_embedding"]]
        parts.append(record["embedding"] - parts[0])
        for i, block in enumerate(model.blocks):
            for h in range(model.config.num_heads):
                names.append(f"blocks.{i}.attention.heads.{h}")
                parts.append(record[names[-1]])
            bias = block.attention.out_proj.bias
            names += [f"blocks.{i}.attention.out_proj.bias", f"blocks.{i}.feedforward"]
            parts.append(torch.zeros_like(parts[0]) if bias is None else bias.expand_as(parts[0]))
            parts.append(record[names[-1]])
        x, norm = record[f"blocks.{len(model.blocks) - 1}"], model.final_norm
        row = one_hot(tokens, model.config.vocab_size).to(x) @ model.lm_head.weight
        direction = norm.weight * row
        direction = direction - direction.mean(dim=-1, keepdim=True)  # centring is its own transpose
        deviation = torch.sqrt(((x - x.mean(-1, keepdim=True)) ** 2).mean(-1) + 1e-5)
        shares = torch.einsum("pbsd,bsd->pbs", torch.stack(parts), direction) / deviation
        result = dict(zip(names, shares, strict=True))
        result["final_norm.bias"] = torch.zeros(batch, seq).to(x) if norm.bias is None else row @ norm.bias
    return result


def contributions__one_after_another(
    model: TransformerLM, record: Mapping[str, Tensor], tokens: Int[Tensor, "batch seq"]
) -> dict[str, Float[Tensor, "batch seq"]]:
    """Each part through a function; logits of all tokens, then the wanted ones."""
    if not model.config.norm_first:
        raise ValueError("contributions need pre-norm blocks: norm_first")
    if int(tokens.min()) < 0 or int(tokens.max()) >= model.config.vocab_size:
        raise IndexError("a token is not in the vocabulary")
    last = record[f"blocks.{model.config.num_layers - 1}"]
    variance, _ = torch.var_mean(last, dim=-1, correction=0, keepdim=True)
    gain, head = model.final_norm.weight.detach(), model.lm_head.weight.detach()

    def logit(x: Tensor) -> Tensor:
        return (x @ head.T).gather(-1, tokens.long().unsqueeze(-1)).squeeze(-1)

    def share(part: Tensor) -> Tensor:
        return logit((part - part.mean(-1, keepdim=True)) * torch.rsqrt(variance + 1e-5) * gain)

    def share_of_bias(bias: Tensor | None) -> Tensor:
        return share(torch.zeros_like(last) if bias is None else last * 0 + bias.detach())

    result = {"token_embedding": share(record["token_embedding"])}
    result["position_embedding"] = share(record["embedding"]) - result["token_embedding"]
    for i, block in enumerate(model.blocks):
        at = f"blocks.{i}"
        result[f"{at}.feedforward"] = share(record[f"{at}.feedforward"])
        result[f"{at}.attention.out_proj.bias"] = share_of_bias(block.attention.out_proj.bias)
        for h in range(model.config.num_heads):
            result[f"{at}.attention.heads.{h}"] = share(record[f"{at}.attention.heads.{h}"])
    bias = model.final_norm.bias
    result["final_norm.bias"] = logit(last * 0 if bias is None else last * 0 + bias.detach())
    return result


def follows_score__loops(
    weights: Float[Tensor, "batch heads seq seq"], ids: Int[Tensor, "batch seq"]
) -> Float[Tensor, "heads"]:
    """Query by query, in Python."""
    total, count = weights.new_zeros(weights.shape[1]), 0
    for row, text in zip(weights, ids.tolist(), strict=True):
        for query, token in enumerate(text):
            after = [j + 1 for j, earlier in enumerate(text[:query]) if earlier == token]
            if after:
                total, count = total + row[:, query, after].sum(dim=-1), count + 1
    if count == 0:
        raise ValueError("nothing is repeated")
    return total / count


def follows_score__rolled(
    weights: Float[Tensor, "batch heads seq seq"], ids: Int[Tensor, "batch seq"]
) -> Float[Tensor, "heads"]:
    """Keys compared by the token before them, and the mean as an einsum over the count."""
    positions = torch.arange(ids.shape[1], device=ids.device)
    before = ids.roll(1, dims=1)  # the token before each key; that of key 0 is hidden below
    shown = (positions[None, :] <= positions[:, None]) & (positions > 0)  # (query, key)
    follows = (ids[:, :, None] == before[:, None, :]) & shown  # (batch, query, key)
    count = follows.any(-1).sum()
    if count == 0:
        raise ValueError("every token of every row is different")
    return torch.einsum("bhqk,bqk->h", weights, follows.to(weights)) / count


def follows_score__shifted_weights(
    weights: Float[Tensor, "batch heads seq seq"], ids: Int[Tensor, "batch seq"]
) -> Float[Tensor, "heads"]:
    """The weights moved by one key instead of the matches, and heads first."""
    same = torch.tril(ids[..., None] == ids[:, None], diagonal=-1)
    counts = same.sum(dim=-1) > 0
    if not bool(counts.any()):
        raise ValueError(f"no repeats in {tuple(ids.shape)} ids")
    moved = F.pad(weights[..., 1:], (0, 1))  # key j is where key j + 1 was
    found = torch.where(same[:, None], moved, 0.0).sum(-1)  # (batch, heads, query)
    return found.movedim(1, 0)[:, counts].mean(dim=-1)


def patched__masked(
    model: TransformerLM,
    ids: Int[Tensor, "batch seq"],
    replace: Mapping[str, Tensor],
    positions: Sequence[int] | None = None,
) -> Float[Tensor, "batch seq vocab"]:
    """One kind of hook on every part that can be replaced, and a mask of positions."""
    seq, heads = ids.shape[1], model.config.num_heads
    where = torch.zeros(seq, dtype=torch.bool, device=ids.device)
    bad = [at for at in positions or () if at not in range(seq)]
    if bad:
        raise ValueError(f"{bad} are not among the positions of a text with seq = {seq}")
    where[slice(None) if positions is None else list(positions)] = True
    known = {"token_embedding", "embedding"}
    for i in range(len(model.blocks)):
        known |= {f"blocks.{i}", f"blocks.{i}.attention", f"blocks.{i}.feedforward"}
        known |= {f"blocks.{i}.attention.heads.{h}" for h in range(heads)}
    if not known >= replace.keys():
        raise ValueError(f"cannot replace {sorted(replace.keys() - known)}")

    def change(name: str, x: Tensor) -> Tensor:
        return torch.where(where[:, None], replace[name].to(x), x) if name in replace else x

    def hook(name):
        def changed(module, args, output):
            if name.endswith(".attention") and any(f"{name}.heads.{h}" in replace for h in range(heads)):
                values = split_heads(module.value_proj(args[0]), heads)
                read = module.attention_weights(args[0], causal_mask(seq, device=ids.device)) @ values
                for h, columns in enumerate(module.out_proj.weight.chunk(heads, dim=1)):
                    part = read[:, h] @ columns.T
                    output = output - part + change(f"{name}.heads.{h}", part)
            return change(name, output)

        return changed

    modes = [(part, part.training) for part in model.modules()]
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        for part, mode in modes:
            stack.callback(setattr, part, "training", mode)
        model.eval()
        for name, part in model.named_modules():
            if name in known:
                stack.callback(part.register_forward_hook(hook(name)).remove)
        first = model.blocks[0].register_forward_pre_hook(
            lambda module, args: (change("embedding", args[0]), *args[1:])
        )
        stack.callback(first.remove)
        return model(ids)


def patching_map__flat(
    model: TransformerLM,
    clean: Int[Tensor, "batch seq"],
    corrupted: Int[Tensor, "batch seq"],
    metric: Callable[[Tensor], float],
) -> Float[Tensor, "depth seq"]:
    """One loop over all pairs, and whole logits for both ends from `patched`."""
    names = ["embedding"] + [f"blocks.{i}" for i in range(len(model.blocks))]
    with recording(model) as record:
        model(clean)
    low = float(metric(patched(model, corrupted, {})))
    high = float(metric(patched(model, corrupted, {"embedding": record["embedding"]})))
    if high - low == 0:
        raise ValueError(f"metric = {low} for both")
    pairs = itertools.product(names, range(clean.shape[1]))
    found = [float(metric(patched(model, corrupted, {n: record[n]}, (s,)))) for n, s in pairs]
    shares = [(each - low) / (high - low) for each in found]
    return torch.tensor(shares, dtype=record[names[0]].dtype, device=clean.device).view(len(names), -1)


def patching_map__written_into(
    model: TransformerLM,
    clean: Int[Tensor, "batch seq"],
    corrupted: Int[Tensor, "batch seq"],
    metric: Callable[[Tensor], float],
) -> Float[Tensor, "depth seq"]:
    """Entry by entry, from the last depth to the first; streams mixed before they are put in whole."""
    records, ends = [], []
    for ids in (corrupted, clean):
        with recording(model) as record:
            ends.append(metric(model(ids)))
        records.append(record)
    low, high = ends
    if low == high:
        raise ValueError(f"both runs have the same metric, {high}")
    depths = 1 + model.config.num_layers
    result = records[0]["embedding"].new_empty(depths, clean.shape[-1])
    for depth in reversed(range(depths)):
        name = f"blocks.{depth - 1}" if depth else "embedding"
        for at in range(clean.shape[-1]):
            mixed = records[0][name].clone()
            mixed[:, at] = records[1][name][:, at]
            result[depth, at] = (metric(patched(model, corrupted, {name: mixed})) - low) / (high - low)
    return result


@contextmanager
def recording__registered_by_a_class(
    model: TransformerLM, names: Collection[str] | None = None
) -> Iterator[dict[str, Tensor]]:
    """Global hooks, which see every module, and a table of those that matter."""
    table = {"token_embedding": model.token_embedding}
    for i, block in enumerate(model.blocks):
        table[f"blocks.{i}"] = block
        table |= {f"blocks.{i}.attention": block.attention, f"blocks.{i}.feedforward": block.feedforward}
    numbers = range(model.config.num_heads)
    attentions = [name for name in table if name.endswith("attention")]
    possible = {*table, "embedding", *(f"{name}.weights" for name in attentions)}
    possible |= {f"{name}.heads.{h}" for name in attentions for h in numbers}
    wanted = possible.intersection(possible if names is None else names)
    if names is not None and (missing := set(names) - possible):
        raise ValueError(f"unknown: {', '.join(missing)}")
    record, by_module = {}, {id(part): name for name, part in table.items()}

    def hook(module, args, output):
        name = by_module.get(id(module))
        if name is None:
            return
        found = {name: output, **({"embedding": args[0]} if name == "blocks.0" else {})}
        if name in attentions:
            x = args[0]
            weights = module.attention_weights(x, causal_mask(x.shape[-2], x.shape[-2], x.device))
            found[f"{name}.weights"] = weights
            values = module.value_proj(x).chunk(len(numbers), dim=-1)
            columns = module.out_proj.weight.chunk(len(numbers), dim=-1)
            for h in numbers:
                found[f"{name}.heads.{h}"] = weights[:, h] @ (values[h] @ columns[h].T)
        record.update((each, found[each].detach().clone()) for each in wanted & found.keys())

    modes = {id(part): part.training for part in model.modules()}
    handle = torch.nn.modules.module.register_module_forward_hook(hook)
    try:
        with torch.no_grad():
            model.eval()
            yield record
    finally:
        handle.remove()
        for part in model.modules():
            part.training = modes[id(part)]


def contributions__by_attention_output(
    model: TransformerLM, record: Mapping[str, Tensor], tokens: Int[Tensor, "batch seq"]
) -> dict[str, Float[Tensor, "batch seq"]]:
    """The bias of out_proj as what is left of an attention's output; the stream as the sum of all parts."""
    if not model.config.norm_first:
        raise ValueError("norm_first=False is not supported")
    parts = {"token_embedding": record["token_embedding"]}
    parts["position_embedding"] = record["embedding"] - record["token_embedding"]
    for i in range(len(model.blocks)):
        heads = {name: x for name, x in record.items() if name.startswith(f"blocks.{i}.attention.heads.")}
        parts |= heads
        left = record[f"blocks.{i}.attention"] - sum(heads.values())
        parts[f"blocks.{i}.attention.out_proj.bias"] = left
        parts[f"blocks.{i}.feedforward"] = record[f"blocks.{i}.feedforward"]
    stream = sum(parts.values())
    with torch.no_grad():
        rows = F.embedding(tokens, model.lm_head.weight)
        factor = torch.rsqrt(stream.var(-1, unbiased=False, keepdim=True) + 1e-5) * model.final_norm.weight
        result = {n: ((x - x.mean(-1, keepdim=True)) * factor * rows).sum(-1) for n, x in parts.items()}
        bias = model.final_norm.bias
        result["final_norm.bias"] = (rows * (bias if bias is not None else 0)).sum(-1)
    return result


def follows_score__row_by_row(
    weights: Float[Tensor, "batch heads seq seq"], ids: Int[Tensor, "batch seq"]
) -> Float[Tensor, "heads"]:
    """Distances between positions by broadcasting, on vectors of single rows."""
    each = []
    place = torch.arange(ids.shape[1], device=ids.device)
    for row, text in zip(weights, ids, strict=True):
        earlier = (text[:, None] == text) & (place < place[:, None])
        for query in earlier.any(dim=1).nonzero().flatten().tolist():
            each.append(row[:, query, 1:][:, earlier[query, :-1]].sum(dim=1))
    if not each:
        raise ValueError("no query counts")
    return torch.stack(each).mean(dim=0)
