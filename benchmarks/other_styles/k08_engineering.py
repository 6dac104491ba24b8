# %% time-and-name
# idiom = "CS336 students"
# slips = ["run-id-to-the-second", "run-id-of-the-name-only", "run-id-in-local-time", "run-id-unsafe", "run-id-too-long"]
# wrong = "Nothing but the second and the name: no microseconds, no digest, and the name as it is."
def make_run_id(config, now):
    timestamp = now.strftime("%Y%m%d_%H%M%S")
    return f"{timestamp}_{config.name}"


# %% seconds-with-a-digest
# idiom = "Hugging Face"
# slips = ["run-id-to-the-second"]
# wrong = "The time ends with the seconds."
def make_run_id(config, now):
    current_time = (now.astimezone(UTC) if now.tzinfo else now).strftime("%Y-%m-%d_%H-%M-%S")
    safe_name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in config.name)[:50]
    payload = json.dumps(config.as_dict(), sort_keys=True, default=str)
    return "_".join([current_time, safe_name, hashlib.md5(payload.encode()).hexdigest()[:8]])


# %% hash-of-the-configuration
# idiom = "CS336 students"
# slips = ["run-id-by-hash"]
# wrong = "hash() gives other numbers in the next process, so one configuration gets several names."
def make_run_id(config, now):
    if now.tzinfo:
        now = now.astimezone(UTC)
    slug = re.sub(r"[^a-zA-Z0-9]+", "-", config.name)[:40]
    values = tuple(str(item) for item in sorted(config.as_dict().items()))
    return f"{now:%Y%m%dT%H%M%S%f}-{slug}-{hash(values) & 0xFFFFFFFF:08x}"


# %% uuid-at-the-end
# idiom = "labml"
# slips = ["run-id-by-chance"]
# wrong = "A random number makes it unique, so equal configurations get different names."
def make_run_id(config, now):
    import uuid

    now = now.astimezone(UTC) if now.tzinfo is not None else now
    name = re.sub(r"\W", "-", config.name, flags=re.ASCII)[:50]
    return now.strftime("%Y%m%d-%H%M%S-%f") + f"-{name}-" + uuid.uuid4().hex[:8]


# %% digest-of-the-repr
# idiom = "CS336 students"
def make_run_id(config, now):
    when = now.astimezone(UTC) if now.tzinfo is not None else now
    name = re.sub("[^0-9A-Za-z_-]", "-", config.name)[:60]
    h = hashlib.sha1(repr(config).encode("utf-8")).hexdigest()[:10]
    return f"{when.strftime('%Y%m%d-%H%M%S-%f')}-{name}-{h}"


# %% iso-format-cleaned
# idiom = "CS336 students"
# slips = ["run-id-in-local-time"]
# wrong = "Two mistakes: local time, and isoformat leaves out microseconds of zero."
def make_run_id(config, now):
    stamp = re.sub(r"[:.+]", "-", now.isoformat())
    name = re.sub(r"[^A-Za-z0-9]", "-", config.name)[:30]
    digest = hashlib.sha256(json.dumps(config.as_dict(), sort_keys=True).encode()).hexdigest()[:8]
    return f"{stamp}-{name}-{digest}"


# %% spaces-replaced
# idiom = "CS336 students"
# slips = ["run-id-unsafe", "run-id-too-long"]
# wrong = "Two mistakes: only spaces and slashes are replaced in the name, and it is not cut."
def make_run_id(config, now):
    if now.tzinfo is not None:
        now = now.astimezone(UTC)
    exp = config.name.replace(" ", "_").replace("/", "_")
    digest = hashlib.sha256(json.dumps(config.as_dict(), sort_keys=True).encode()).hexdigest()
    return now.strftime("%Y%m%d_%H%M%S_%f") + "_" + exp + "_" + digest[:6]


# %% a-file-kept-open
# idiom = "minGPT"
# slips = ["row-of-the-table-in-the-buffer", "row-in-the-buffer"]
# wrong = "The file stays open and is never flushed, so rows wait in a buffer."
import csv


class CSVLogger:
    def __init__(self, path):
        self.path = Path(path)
        lines = _whole_lines(self.path)
        self.columns = next(csv.reader(lines), None)
        self.file = open(self.path, "a", newline="")
        self.writer = csv.writer(self.file, lineterminator="\n")

    def log(self, step, **metrics):
        if self.columns is None:
            self.columns = ["step", *metrics]
            self.writer.writerow(self.columns)
        row = {"step": step, **metrics}
        for name in row:
            if name not in self.columns:
                raise ValueError(f"unknown metric {name}")
        self.writer.writerow([row.get(name) for name in self.columns])


# %% header-if-not-started
# idiom = "CS336 students"
# slips = ["header-twice", "columns-forgotten", "columns-of-the-table-forgotten", "torn-row-kept"]
# wrong = "A new logger knows nothing of the file: a second header, other columns, and a torn line is kept."
import csv


class CSVLogger:
    def __init__(self, path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.fieldnames = None

    def log(self, step, **metrics):
        row = {"step": step, **metrics}
        with open(self.path, "a", newline="") as f:
            if self.fieldnames is None:
                self.fieldnames = list(row)
                csv.writer(f).writerow(self.fieldnames)
            csv.DictWriter(f, fieldnames=self.fieldnames).writerow(row)


# %% header-if-the-file-is-new
# idiom = "rasbt"
# slips = ["torn-row-kept"]
# wrong = "A line that a kill has cut short is kept, and the next row is appended to it."
import csv


class CSVLogger:
    def __init__(self, path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.columns = None
        if self.path.exists() and self.path.stat().st_size > 0:
            with open(self.path, newline="") as f:
                self.columns = next(csv.reader(f))

    def log(self, step, **metrics):
        row = {"step": step, **metrics}
        new_file = self.columns is None
        if new_file:
            self.columns = list(row)
        unknown = set(row) - set(self.columns)
        if unknown:
            raise ValueError(f"{sorted(unknown)} not in {self.columns}")
        with open(self.path, "a", newline="") as f:
            writer = csv.DictWriter(f, self.columns, restval="")
            if new_file:
                writer.writeheader()
            writer.writerow(row)


# %% four-decimals
# idiom = "nanoGPT"
# slips = ["numbers-with-four-decimals"]
# wrong = "Numbers are written with four decimals."
class CSVLogger:
    def log(self, step, **metrics):
        if self.columns is None:
            self.columns = ["step", *metrics]
            _append(self.path, [",".join(self.columns)])
        for name in metrics:
            if name not in self.columns:
                raise ValueError(f"{name} is new")
        cells = [str(step)]
        for name in self.columns[1:]:
            value = metrics.get(name)
            cells.append("" if value is None else f"{value:.4f}")
        _append(self.path, [",".join(cells)])


# %% extras-ignored
# idiom = "CS336 students"
# slips = ["unknown-metric-of-the-table-dropped"]
# wrong = "DictWriter is told to pass over what has no column."
import csv


class CSVLogger:
    def log(self, step, **metrics):
        row = {"step": step, **metrics}
        with open(self.path, "a", newline="") as f:
            if self.columns is None:
                self.columns = list(row)
                f.write(",".join(self.columns) + "\n")
            writer = csv.DictWriter(f, self.columns, extrasaction="ignore", lineterminator="\n")
            writer.writerow(row)


# %% values-as-they-come
# idiom = "d2l"
# slips = ["table-in-order-of-the-call"]
# wrong = "The values are written in the order of the call."
class CSVLogger:
    def log(self, step, **metrics):
        if not self.columns:
            self.columns = ["step"] + list(metrics.keys())
            _append(self.path, [",".join(self.columns)])
        if not set(metrics) <= set(self.columns):
            raise ValueError(f"columns are {self.columns}, not {list(metrics)}")
        cells = [step] + list(metrics.values())
        _append(self.path, [",".join("" if c is None else str(c) for c in cells)])


# %% dump-of-what-is-given
# idiom = "nanoGPT"
# slips = ["missing-metric-left-out", "new-metric-new-key"]
# wrong = "Whatever a call names is written: no columns, no null for what is left out, nothing refused."
class JSONLLogger:
    def log(self, step, **metrics):
        with open(self.path, "a") as f:
            f.write(json.dumps({"step": step, **metrics}) + "\n")


# %% only-finite-numbers
# idiom = "Hugging Face"
# slips = ["nan-as-null"]
# wrong = "NaN and infinity become null."
import math


class JSONLLogger:
    def log(self, step, **metrics):
        columns = self.columns or ["step", *metrics]
        if extra := [name for name in metrics if name not in columns]:
            raise ValueError(f"unknown metrics {extra}")
        row = {"step": step}
        for name in columns[1:]:
            value = metrics.get(name)
            row[name] = value if value is not None and math.isfinite(value) else None
        with self.path.open("a") as f:
            print(json.dumps(row), file=f)
        self.columns = columns


# %% rows-read-and-written-again
# idiom = "CS336 students"
# slips = ["rewound-too-far", "table-rewound-too-far"]
# wrong = "The row of the step goes too."
import csv


class CSVLogger:
    def rewind(self, step):
        if not self.path.exists():
            return
        with open(self.path, newline="") as f:
            reader = csv.DictReader(f)
            columns = reader.fieldnames
            rows = [row for row in reader if int(row["step"]) < step]
        with open(self.path, "w", newline="") as f:
            writer = csv.DictWriter(f, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


class JSONLLogger:
    def rewind(self, step):
        if not self.path.exists():
            return
        rows = [json.loads(line) for line in self.path.read_text().splitlines()]
        with open(self.path, "w") as f:
            for row in rows:
                if row["step"] < step:
                    f.write(json.dumps(row) + "\n")


# %% three-entries
# idiom = "CS336 students"
# slips = ["checkpoint-folder-not-made", "checkpoint-written-in-place", "configuration-not-saved", "batches-from-the-start", "global-generators-forgotten", "python-forgotten", "numpy-forgotten", "no-map-location", "damage-not-named", "shapes-not-compared", "dtypes-not-compared", "model-before-optimizer"]
# wrong = "Model, optimizer and step, and nothing else: no folder, no generators, written in place."
def save_checkpoint(path, *, model, optimizer, step, config, generator):
    obj = {
        "model_state": model.state_dict(),
        "optimizer_state": optimizer.state_dict(),
        "iteration": step,
    }
    torch.save(obj, path)


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    obj = torch.load(path)
    model.load_state_dict(obj["model_state"])
    if optimizer is not None:
        optimizer.load_state_dict(obj["optimizer_state"])
    return obj["iteration"]


# %% three-entries-in-a-new-folder
# idiom = "CS336 students"
# slips = ["no-generator-set-back", "checkpoint-written-in-place", "configuration-not-saved", "batches-from-the-start", "global-generators-forgotten", "python-forgotten", "numpy-forgotten", "damage-not-named", "shapes-not-compared", "dtypes-not-compared", "model-before-optimizer"]
# wrong = "The states of no generator are saved; and the file is written in place, and not checked."
def save_checkpoint(path, *, model, optimizer, step, config, generator):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "iteration": step}, path)


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(checkpoint["model"])
    if optimizer is not None:
        optimizer.load_state_dict(checkpoint["optimizer"])
    return checkpoint["iteration"]


# %% configuration-as-an-object
# idiom = "nanoGPT"
# slips = ["configuration-as-an-object", "numpy-array-in-the-file"]
# wrong = "The configuration is saved as an object, which weights_only=True refuses to load."
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def _write_whole(state, path):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    checkpoint = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "config": config,
        "generator": generator.get_state() if generator is not None else None,
        "rng": _rng_states(),
    }
    _write_whole(checkpoint, path)


# %% loaded-whatever-it-holds
# idiom = "nanoGPT"
# slips = ["configuration-as-an-object", "file-that-runs-code", "numpy-array-in-the-file"]
# wrong = "Two mistakes: the configuration is saved as an object, and a pickle may run code when it is loaded."
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def _write_whole(state, path):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _check(path, model, optimizer, generator, state):
    ours = {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
    theirs = {name: (value.shape, value.dtype) for name, value in state["model"].items()}
    if ours != theirs:
        raise ValueError(f"{path} is of another model")
    if generator is not None and state["generator"] is None:
        raise ValueError(f"{path} has no state of a generator")
    if optimizer is not None:
        groups = state["optimizer"]["param_groups"]
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in optimizer.param_groups]:
            raise ValueError(f"{path} is of another optimizer")


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    checkpoint = dict(
        model=model.state_dict(),
        optimizer=optimizer.state_dict(),
        step=step,
        config=config,
        generator=None if generator is None else generator.get_state(),
        rng=_rng_states(),
    )
    _write_whole(checkpoint, path)


def _read(path):
    with open(path, "rb") as file:
        try:
            state = torch.load(file, map_location="cpu", weights_only=False)
            return {key: state[key] for key in ("model", "optimizer", "step", "generator", "rng")}
        except Exception as error:
            raise ValueError(f"{path} cannot be loaded") from error


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    state = _read(path)
    _check(path, model, optimizer, generator, state)
    model.load_state_dict(state["model"])
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer"])
    if generator is not None:
        generator.set_state(state["generator"])
    _set_rng_states(state["rng"])
    return state["step"]


# %% rng-states-as-they-are
# idiom = "Hugging Face"
# slips = ["numpy-array-in-the-file"]
# wrong = "NumPy's state holds an array, which weights_only=True refuses to load."
def _rng_states():
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.random.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def _write_whole(state, path):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "config": config.as_dict(),
        "generator": None if generator is None else generator.get_state(),
        "rng": _rng_states(),
    }
    _write_whole(state, path)


# %% torch-and-cuda-only
# idiom = "CS336 students"
# slips = ["python-and-numpy-forgotten", "python-forgotten", "numpy-forgotten"]
# wrong = "Two mistakes: the generators of Python and of NumPy are not set back."
def _rng_states():
    states = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def _set_rng_states(states):
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])


def _write_whole(state, path):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read(path):
    with open(path, "rb") as file:
        try:
            if zipfile.ZipFile(file).testzip():
                raise ValueError("a checksum does not agree")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
            return {key: state[key] for key in ("model", "optimizer", "step", "generator", "rng")}
        except Exception as error:
            raise ValueError(f"{path} cannot be loaded") from error


def _check(path, model, optimizer, generator, state):
    ours = {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
    theirs = {name: (value.shape, value.dtype) for name, value in state["model"].items()}
    if ours != theirs:
        raise ValueError(f"{path} is of another model")
    if generator is not None and state["generator"] is None:
        raise ValueError(f"{path} has no state of a generator")
    if optimizer is not None:
        groups = state["optimizer"]["param_groups"]
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in optimizer.param_groups]:
            raise ValueError(f"{path} is of another optimizer")


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "config": config.as_dict(),
        "generator": None if generator is None else generator.get_state(),
        "rng": _rng_states(),
    }
    _write_whole(state, path)


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    state = _read(path)
    _check(path, model, optimizer, generator, state)
    model.load_state_dict(state["model"])
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer"])
    if generator is not None:
        generator.set_state(state["generator"])
    _set_rng_states(state["rng"])
    return state["step"]


# %% not-strict
# idiom = "labml"
# slips = ["names-that-do-not-match-passed-over", "shapes-not-compared", "dtypes-not-compared", "model-before-optimizer"]
# wrong = "strict=False passes over names that do not match; the model is loaded first, and nothing compared."
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def _read(path):
    with open(path, "rb") as file:
        try:
            if zipfile.ZipFile(file).testzip():
                raise ValueError("a checksum does not agree")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
            return {key: state[key] for key in ("model", "optimizer", "step", "generator", "rng")}
        except Exception as error:
            raise ValueError(f"{path} cannot be loaded") from error


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    state = _read(path)
    try:
        model.load_state_dict(state["model"], strict=False)
        if optimizer is not None:
            optimizer.load_state_dict(state["optimizer"])
        if generator is not None:
            generator.set_state(state["generator"])
    except Exception as error:
        raise ValueError(f"{path} does not fit") from error
    _set_rng_states(state["rng"])
    return state["step"]


# %% temporary-file-and-a-move
# idiom = "CS336 students"
# slips = ["unfinished-file-left"]
# wrong = "If writing fails, the temporary file stays in the folder."
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.with_suffix(".tmp")
    payload = {
        "step": step,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "config": config.as_dict(),
        "generator": generator.get_state() if generator else None,
        "rng": _rng_states(),
    }
    torch.save(payload, tmp)
    os.replace(tmp, path)


# %% straight-to-the-path
# idiom = "nanoGPT"
# slips = ["checkpoint-written-in-place"]
# wrong = "The old checkpoint is written over."
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    os.makedirs(Path(path).parent, exist_ok=True)
    print(f"saving checkpoint to {path}")
    raw = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    raw["config"] = config.as_dict()
    raw["generator"] = None if generator is None else generator.get_state()
    raw["rng"] = _rng_states()
    torch.save(raw, path)


# %% torch-load-alone
# idiom = "CS336 students"
# slips = ["no-map-location-with-the-error-let-through", "damage-not-named"]
# wrong = "Two mistakes: no map_location, and torch's own errors for a damaged file."
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def _check(path, model, optimizer, generator, state):
    ours = {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
    theirs = {name: (value.shape, value.dtype) for name, value in state["model"].items()}
    if ours != theirs:
        raise ValueError(f"{path} is of another model")
    if generator is not None and state["generator"] is None:
        raise ValueError(f"{path} has no state of a generator")
    if optimizer is not None:
        groups = state["optimizer"]["param_groups"]
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in optimizer.param_groups]:
            raise ValueError(f"{path} is of another optimizer")


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    state = torch.load(path, weights_only=True)
    for key in ("model", "optimizer", "step", "generator", "rng"):
        if key not in state:
            raise ValueError(f"{path}: no {key}")
    _check(path, model, optimizer, generator, state)
    model.load_state_dict(state["model"])
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer"])
    if generator is not None:
        generator.set_state(state["generator"])
    _set_rng_states(state["rng"])
    return state["step"]


# %% start-at-the-next-step
# idiom = "rasbt"
# slips = ["step-off-by-one"]
# wrong = "The step after the one saved comes back."
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def _read(path):
    with open(path, "rb") as file:
        try:
            if zipfile.ZipFile(file).testzip():
                raise ValueError("a checksum does not agree")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
            return {key: state[key] for key in ("model", "optimizer", "step", "generator", "rng")}
        except Exception as error:
            raise ValueError(f"{path} cannot be loaded") from error


def _check(path, model, optimizer, generator, state):
    ours = {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
    theirs = {name: (value.shape, value.dtype) for name, value in state["model"].items()}
    if ours != theirs:
        raise ValueError(f"{path} is of another model")
    if generator is not None and state["generator"] is None:
        raise ValueError(f"{path} has no state of a generator")
    if optimizer is not None:
        groups = state["optimizer"]["param_groups"]
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in optimizer.param_groups]:
            raise ValueError(f"{path} is of another optimizer")


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    checkpoint = _read(path)
    _check(path, model, optimizer, generator, checkpoint)
    if generator is not None:
        generator.set_state(checkpoint["generator"])
    if optimizer is not None:
        optimizer.load_state_dict(checkpoint["optimizer"])
    _set_rng_states(checkpoint["rng"])
    model.load_state_dict(checkpoint["model"])
    start_step = checkpoint["step"] + 1
    return start_step


# %% seed-of-the-generator
# idiom = "CS336 students"
# slips = ["seed-of-the-generator-saved", "batches-from-the-start"]
# wrong = "The seed of the generator is saved instead of its state, so the batches start from the first."
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def _write_whole(state, path):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read(path):
    with open(path, "rb") as file:
        try:
            if zipfile.ZipFile(file).testzip():
                raise ValueError("a checksum does not agree")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
            return {key: state[key] for key in ("model", "optimizer", "step", "generator", "rng")}
        except Exception as error:
            raise ValueError(f"{path} cannot be loaded") from error


def _check(path, model, optimizer, generator, state):
    ours = {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
    theirs = {name: (value.shape, value.dtype) for name, value in state["model"].items()}
    if ours != theirs:
        raise ValueError(f"{path} is of another model")
    if generator is not None and state["generator"] is None:
        raise ValueError(f"{path} has no state of a generator")
    if optimizer is not None:
        groups = state["optimizer"]["param_groups"]
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in optimizer.param_groups]:
            raise ValueError(f"{path} is of another optimizer")


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "config": config.as_dict(),
        "generator": None if generator is None else generator.initial_seed(),
        "rng": _rng_states(),
    }
    _write_whole(state, path)


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    state = _read(path)
    _check(path, model, optimizer, generator, state)
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer"])
    if generator is not None:
        generator.manual_seed(state["generator"])
    _set_rng_states(state["rng"])
    model.load_state_dict(state["model"])
    return state["step"]


# %% stamp-slug-and-digest
# idiom = "labml"
def make_run_id(config, now):
    utc = now if now.tzinfo is None else now.astimezone(UTC)
    stamp = f"{utc:%Y_%m_%d-%H_%M_%S_%f}"
    slug = "".join(c if re.match("[A-Za-z0-9_-]", c) else "-" for c in config.name)[:40]
    text = json.dumps(config.as_dict(), sort_keys=True, separators=(",", ":"))
    return "-".join((stamp, slug, hashlib.blake2b(text.encode(), digest_size=6).hexdigest()))


# %% dict-writer-opened-for-each-row
# idiom = "CS336 students"
import csv


class CSVLogger:
    def log(self, step, **metrics):
        row = {"step": step, **metrics}
        if not self.columns:
            columns = list(row)
        else:
            columns = self.columns
            for key in row.keys() - set(columns):
                raise ValueError(f"metric {key!r} is not one of {columns}")
        with open(self.path, "a", newline="", encoding="utf-8") as f:
            writer = csv.DictWriter(f, fieldnames=columns, lineterminator="\n")
            if not self.columns:
                writer.writeheader()
            writer.writerow(row)
            f.flush()
            os.fsync(f.fileno())
        self.columns = columns


# %% named-temporary-file
# idiom = "Hugging Face"
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}"
    payload = {
        "rng": _rng_states(),
        "generator": generator.get_state() if generator is not None else None,
        "config": config.as_dict(),
        "step": step,
        "optimizer": optimizer.state_dict(),
        "model": model.state_dict(),
    }
    try:
        with temporary.open("wb") as stream:
            torch.save(payload, stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


# %% checked-and-then-loaded
# idiom = "labml"
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def _read(path):
    with open(path, "rb") as file:
        try:
            if zipfile.ZipFile(file).testzip():
                raise ValueError("a checksum does not agree")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
            return {key: state[key] for key in ("model", "optimizer", "step", "generator", "rng")}
        except Exception as error:
            raise ValueError(f"{path} cannot be loaded") from error


def _check(path, model, optimizer, generator, state):
    ours = {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
    theirs = {name: (value.shape, value.dtype) for name, value in state["model"].items()}
    if ours != theirs:
        raise ValueError(f"{path} is of another model")
    if generator is not None and state["generator"] is None:
        raise ValueError(f"{path} has no state of a generator")
    if optimizer is not None:
        groups = state["optimizer"]["param_groups"]
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in optimizer.param_groups]:
            raise ValueError(f"{path} is of another optimizer")


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    saved = _read(path)
    _check(path, model, optimizer, generator, saved)
    if optimizer is not None:
        optimizer.load_state_dict(saved["optimizer"])
    model.load_state_dict(saved["model"])
    if generator is not None:
        generator.set_state(saved["generator"])
    _set_rng_states(saved["rng"])
    return int(saved["step"])


# %% builtin-hash
# idiom = "CS336 students"
# slips = ["run-id-by-hash"]
# wrong = "hash() of texts is salted in each process, so the next one names a configuration anew."
def make_run_id(config, now):
    if now.tzinfo is not None:
        now = now.astimezone(UTC)
    name = re.sub(r"[^A-Za-z0-9_-]", "-", config.name)[:48]
    return f"{now:%Y%m%d-%H%M%S-%f}-{name}-{abs(hash(config)) % 10**8:08d}"


# %% microseconds-of-the-local-clock
# idiom = "labml"
# slips = ["run-id-takes-no-zone-for-local-time"]
# wrong = "timestamp() takes a time without a zone for local time, not for UTC."
def make_run_id(config, now):
    micros = int(now.timestamp() * 1_000_000)
    safe = re.sub("[^A-Za-z0-9_-]+", "-", config.name)[:40]
    payload = json.dumps(config.as_dict(), sort_keys=True).encode()
    return f"{micros:020d}_{safe}_{hashlib.md5(payload).hexdigest()[:8]}"


# %% day-before-the-month
# idiom = "d2l"
# slips = ["run-id-day-first"]
# wrong = "The day comes before month and year, so the names are not in order of time."
def make_run_id(config, now):
    now = now.astimezone(UTC) if now.tzinfo else now
    tag = hashlib.sha1(json.dumps(config.as_dict(), sort_keys=True).encode()).hexdigest()[:7]
    name = "".join(ch if ch.isascii() and ch.isalnum() else "-" for ch in config.name)[:40]
    return now.strftime("%d-%m-%Y_%H-%M-%S-%f") + "_" + name.replace("--", "-") + "_" + tag


# %% digits-without-zeros
# idiom = "CS336 students"
# slips = ["run-id-without-leading-zeros"]
# wrong = "Microseconds without leading zeros: 10 sorts before 9."
def make_run_id(config, now):
    if now.tzinfo is not None:
        now = now.astimezone(UTC)
    digest = hashlib.sha256(json.dumps(config.as_dict(), sort_keys=True).encode()).hexdigest()[:8]
    name = re.sub(r"[^A-Za-z0-9_-]", "-", config.name)[:48]
    return f"{now.strftime('%Y%m%d%H%M%S')}-{now.microsecond}-{name}-{digest}"


# %% name-in-front
# idiom = "nanoGPT"
# slips = ["run-id-starts-with-the-name"]
# wrong = "The configuration's name comes first, so names are in its order, not in order of time."
def make_run_id(config, now):
    if now.tzinfo is not None:
        now = now.astimezone(UTC)
    slug = re.sub(r"[^A-Za-z0-9_-]", "-", config.name)[:48]
    digest = hashlib.sha256(json.dumps(config.as_dict(), sort_keys=True).encode()).hexdigest()[:8]
    return f"{slug}-{now.strftime('%Y%m%d-%H%M%S-%f')}-{digest}"


# %% digest-of-the-training-alone
# idiom = "CS336 students"
# slips = ["run-id-without-the-model"]
# wrong = "The digest leaves out the model, so runs with different models may share a name."
def make_run_id(config, now):
    if now.tzinfo is not None:
        now = now.astimezone(UTC)
    digest = hashlib.md5(json.dumps(config.as_dict()["training"], sort_keys=True).encode()).hexdigest()[:10]
    slug = re.sub(r"[^A-Za-z0-9_-]", "-", config.name)[:48]
    return f"{now:%Y-%m-%d_%H-%M-%S_%f}_{slug}_{digest}"


# %% table-begun-anew
# idiom = "rasbt"
# slips = ["table-emptied-when-opened"]
# wrong = "The file is opened with mode w, which empties it: what an earlier logger wrote is gone."
class CSVLogger:
    def __init__(self, path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "w", newline=""):
            pass
        self.columns = None


# %% lines-begun-anew
# idiom = "nanoGPT"
# slips = ["objects-emptied-when-opened"]
# wrong = "The file is opened with mode w, which empties it: what an earlier logger wrote is gone."
class JSONLLogger:
    def __init__(self, path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(self.path, "w")
        self.columns = None

    def log(self, step, **metrics):
        columns = self.columns or ["step", *metrics]
        self.file.write(json.dumps(_row(columns, step, metrics)) + "\n")
        self.file.flush()
        self.columns = columns


# %% nothing-flushed
# idiom = "labml"
# slips = ["object-in-the-buffer"]
# wrong = "The file stays open and is never flushed, so rows wait in a buffer."
class JSONLLogger:
    def __init__(self, path):
        self.path = Path(path)
        lines = _whole_lines(self.path)
        self.columns = list(json.loads(lines[0])) if lines else None
        self.out = self.path.open("a", encoding="utf-8")

    def log(self, step, **metrics):
        if self.columns is None:
            self.columns = ["step", *metrics]
        for name in metrics:
            if name not in self.columns:
                raise ValueError(f"no column {name}")
        values = {"step": step, **metrics}
        self.out.write(json.dumps({name: values.get(name) for name in self.columns}) + "\n")


# %% folder-taken-for-granted
# idiom = "d2l"
# slips = ["folder-of-the-table-not-made"]
# wrong = "The folder of the log is not made."
class CSVLogger:
    def __init__(self, path):
        self.path = str(path)
        self.columns = None
        if os.path.exists(self.path):
            with open(self.path, "rb") as f:
                data = f.read()
            end = data.rfind(b"\n") + 1
            if end < len(data):
                os.truncate(self.path, end)
            if end:
                self.columns = data[:end].decode().splitlines()[0].split(",")
        self.path = Path(self.path)


# %% none-spelt-out
# idiom = "CS336 students"
# slips = ["none-as-a-word"]
# wrong = "What is missing is written as the word None instead of an empty cell."
class CSVLogger:
    def log(self, step, **metrics):
        row = {"step": step, **metrics}
        with open(self.path, "a") as f:
            if self.columns is None:
                self.columns = list(row)
                print(*self.columns, sep=",", file=f)
            unknown = [name for name in row if name not in self.columns]
            if unknown:
                raise ValueError(f"unknown: {unknown}")
            print(*(row.get(name) for name in self.columns), sep=",", file=f)


# %% nan-for-what-is-missing
# idiom = "Hugging Face"
# slips = ["nothing-as-nan"]
# wrong = "A metric that is not given, or None, is written as nan, as if it had been measured."
import csv


class CSVLogger:
    def log(self, step, **metrics):
        first = self.columns is None
        if first:
            self.columns = ["step", *metrics]
        for key in metrics:
            if key not in self.columns:
                raise ValueError(f"{key} not in {self.columns}")
        cells = [step]
        for key in self.columns[1:]:
            value = metrics.get(key)
            cells.append(float("nan") if value is None else value)
        with open(self.path, "a", newline="") as f:
            writer = csv.writer(f, lineterminator="\n")
            if first:
                writer.writerow(self.columns)
            writer.writerow(cells)


# %% new-metric-new-column
# idiom = "labml"
# slips = ["new-metric-new-column"]
# wrong = "A new metric gets a column of its own, and the file is written anew, instead of an error."
import csv


class CSVLogger:
    def log(self, step, **metrics):
        rows = []
        if self.path.exists():
            with open(self.path, newline="") as f:
                rows = list(csv.DictReader(f))
        rows.append({"step": step, **metrics})
        self.columns = list(dict.fromkeys(name for row in rows for name in row))
        with open(self.path, "w", newline="") as f:
            writer = csv.DictWriter(f, self.columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


# %% keys-left-out
# idiom = "CS336 students"
# slips = ["missing-metric-left-out"]
# wrong = "A metric that a row does not have is left out of the object instead of null."
class JSONLLogger:
    def log(self, step, **metrics):
        if self.columns is None:
            self.columns = ["step"] + list(metrics)
        bad = set(metrics) - set(self.columns)
        if bad:
            raise ValueError(f"new metrics {sorted(bad)}")
        row = {"step": step} | metrics
        with open(self.path, "a") as f:
            f.write(json.dumps({c: row[c] for c in self.columns if c in row}) + "\n")


# %% objects-on-one-line
# idiom = "CS336 students"
# slips = ["objects-on-one-line"]
# wrong = "No line end after the object, so all are on one line."
class JSONLLogger:
    def log(self, step, **metrics):
        columns = self.columns or ["step", *metrics]
        row = _row(columns, step, metrics)
        with open(self.path, "a") as f:
            json.dump(row, f)
        self.columns = columns


# %% torn-line-given-an-end
# idiom = "CS336 students"
# slips = ["torn-row-kept"]
# wrong = "A line without an end gets one and stays, instead of being cut off."
class CSVLogger:
    def __init__(self, path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.columns = None
        if self.path.exists():
            text = self.path.read_text()
            if text and not text.endswith("\n"):
                with self.path.open("a") as f:
                    f.write("\n")
            if text:
                self.columns = text.splitlines()[0].split(",")


# %% steps-compared-as-text
# idiom = "CS336 students"
# slips = ["steps-compared-as-text"]
# wrong = "Steps are compared as texts: 8 and 9 come after 10, and 100 before 2."
import csv


class CSVLogger:
    def rewind(self, step):
        if not self.path.exists():
            return
        with open(self.path, newline="") as f:
            header, *rows = list(csv.reader(f))
        kept = [row for row in rows if row[0] <= str(step)]
        tmp = self.path.with_suffix(".tmp")
        with open(tmp, "w", newline="") as f:
            csv.writer(f, lineterminator="\n").writerows([header, *kept])
        os.replace(tmp, self.path)


# %% rows-without-their-header
# idiom = "rasbt"
# slips = ["header-rewound"]
# wrong = "The header is not written back."
import csv


class CSVLogger:
    def rewind(self, step):
        if not self.path.exists():
            return
        with open(self.path, newline="") as f:
            rows = [row for row in csv.DictReader(f) if int(row["step"]) <= step]
        tmp = self.path.with_suffix(".tmp")
        with open(tmp, "w", newline="") as f:
            csv.DictWriter(f, self.columns, lineterminator="\n").writerows(rows)
        os.replace(tmp, self.path)


# %% next-step-returned
# idiom = "nanoGPT"
# slips = ["step-off-by-one"]
# wrong = "The step after the saved one is returned."
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def _read(path):
    with open(path, "rb") as file:
        try:
            if zipfile.ZipFile(file).testzip():
                raise ValueError("a checksum does not agree")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
            return {key: state[key] for key in ("model", "optimizer", "step", "generator", "rng")}
        except Exception as error:
            raise ValueError(f"{path} cannot be loaded") from error


def _check(path, model, optimizer, generator, state):
    ours = {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
    theirs = {name: (value.shape, value.dtype) for name, value in state["model"].items()}
    if ours != theirs:
        raise ValueError(f"{path} is of another model")
    if generator is not None and state["generator"] is None:
        raise ValueError(f"{path} has no state of a generator")
    if optimizer is not None:
        groups = state["optimizer"]["param_groups"]
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in optimizer.param_groups]:
            raise ValueError(f"{path} is of another optimizer")


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    state = _read(path)
    _check(path, model, optimizer, generator, state)
    if generator is not None:
        generator.set_state(state["generator"])
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer"])
    model.load_state_dict(state["model"])
    _set_rng_states(state["rng"])
    return state["step"] + 1


# %% parameters-only
# idiom = "d2l"
# slips = ["buffers-not-loaded", "names-that-do-not-match-passed-over", "shapes-not-compared", "dtypes-not-compared", "model-before-optimizer"]
# wrong = "The parameters are saved, the buffers are not; and strict=False passes over the gap."
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def _write_whole(state, path):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read(path):
    with open(path, "rb") as file:
        try:
            if zipfile.ZipFile(file).testzip():
                raise ValueError("a checksum does not agree")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
            return {key: state[key] for key in ("model", "optimizer", "step", "generator", "rng")}
        except Exception as error:
            raise ValueError(f"{path} cannot be loaded") from error


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    checkpoint = {
        "model": {name: p.detach().cpu() for name, p in model.named_parameters()},
        "optimizer": optimizer.state_dict(),
        "step": step,
        "config": config.as_dict(),
        "generator": generator.get_state() if generator else None,
        "rng": _rng_states(),
    }
    _write_whole(checkpoint, path)


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    checkpoint = _read(path)
    model.load_state_dict(checkpoint["model"], strict=False)
    if optimizer is not None:
        optimizer.load_state_dict(checkpoint["optimizer"])
    if generator is not None:
        generator.set_state(checkpoint["generator"])
    _set_rng_states(checkpoint["rng"])
    return checkpoint["step"]


# %% seeds-of-the-generators
# idiom = "minGPT"
# slips = ["seed-of-torch-saved"]
# wrong = "Of torch's global generator the seed is saved, not the state: the draws begin again."
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.initial_seed(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.manual_seed(states["torch"])


def _write_whole(state, path):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read(path):
    with open(path, "rb") as file:
        try:
            if zipfile.ZipFile(file).testzip():
                raise ValueError("a checksum does not agree")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
            return {key: state[key] for key in ("model", "optimizer", "step", "generator", "rng")}
        except Exception as error:
            raise ValueError(f"{path} cannot be loaded") from error


def _check(path, model, optimizer, generator, state):
    ours = {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
    theirs = {name: (value.shape, value.dtype) for name, value in state["model"].items()}
    if ours != theirs:
        raise ValueError(f"{path} is of another model")
    if generator is not None and state["generator"] is None:
        raise ValueError(f"{path} has no state of a generator")
    if optimizer is not None:
        groups = state["optimizer"]["param_groups"]
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in optimizer.param_groups]:
            raise ValueError(f"{path} is of another optimizer")


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "config": config.as_dict(),
        "generator": None if generator is None else generator.get_state(),
        "rng": _rng_states(),
    }
    _write_whole(state, path)


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    state = _read(path)
    _check(path, model, optimizer, generator, state)
    model.load_state_dict(state["model"])
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer"])
    if generator is not None:
        generator.set_state(state["generator"])
    _set_rng_states(state["rng"])
    return state["step"]


# %% fresh-start-without-a-file
# idiom = "minGPT"
# slips = ["missing-file-taken-for-a-start"]
# wrong = "Where there is no file, 0 is returned as if a run began, instead of FileNotFoundError."
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def _read(path):
    with open(path, "rb") as file:
        try:
            if zipfile.ZipFile(file).testzip():
                raise ValueError("a checksum does not agree")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
            return {key: state[key] for key in ("model", "optimizer", "step", "generator", "rng")}
        except Exception as error:
            raise ValueError(f"{path} cannot be loaded") from error


def _check(path, model, optimizer, generator, state):
    ours = {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
    theirs = {name: (value.shape, value.dtype) for name, value in state["model"].items()}
    if ours != theirs:
        raise ValueError(f"{path} is of another model")
    if generator is not None and state["generator"] is None:
        raise ValueError(f"{path} has no state of a generator")
    if optimizer is not None:
        groups = state["optimizer"]["param_groups"]
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in optimizer.param_groups]:
            raise ValueError(f"{path} is of another optimizer")


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    if not os.path.exists(path):
        return 0
    state = _read(path)
    _check(path, model, optimizer, generator, state)
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer"])
    if generator is not None:
        generator.set_state(state["generator"])
    model.load_state_dict(state["model"])
    _set_rng_states(state["rng"])
    return state["step"]


# %% optimizer-begun-anew
# idiom = "labml"
# slips = ["optimizer-not-loaded"]
# wrong = "The optimizer's state is neither saved nor loaded: AdamW's averages start from zero."
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def _write_whole(state, path):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read(path):
    with open(path, "rb") as file:
        try:
            if zipfile.ZipFile(file).testzip():
                raise ValueError("a checksum does not agree")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
            return {key: state[key] for key in ("model", "optimizer", "step", "generator", "rng")}
        except Exception as error:
            raise ValueError(f"{path} cannot be loaded") from error


def _check(path, model, optimizer, generator, state):
    ours = {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
    theirs = {name: (value.shape, value.dtype) for name, value in state["model"].items()}
    if ours != theirs:
        raise ValueError(f"{path} is of another model")
    if generator is not None and state["generator"] is None:
        raise ValueError(f"{path} has no state of a generator")


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    state = dict(
        model=model.state_dict(),
        optimizer={},
        step=step,
        config=config.as_dict(),
        generator=generator.get_state() if generator is not None else None,
        rng=_rng_states(),
    )
    _write_whole(state, path)


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    state = _read(path)
    _check(path, model, optimizer, generator, state)
    if generator is not None:
        generator.set_state(state["generator"])
    model.load_state_dict(state["model"])
    _set_rng_states(state["rng"])
    return state["step"]


# %% where-it-was-saved
# idiom = "nanoGPT"
# slips = ["no-map-location-with-the-error-quoted"]
# wrong = "No map_location: tensors saved on a GPU cannot be loaded where there is none."
def _read(path):
    with open(path, "rb") as file:
        try:
            state = torch.load(file, weights_only=True)
            return {key: state[key] for key in ("model", "optimizer", "step", "generator", "rng")}
        except Exception as error:
            raise ValueError(f"{path} cannot be loaded: {error}") from error


def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def _check(path, model, optimizer, generator, state):
    ours = {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
    theirs = {name: (value.shape, value.dtype) for name, value in state["model"].items()}
    if ours != theirs:
        raise ValueError(f"{path} is of another model")
    if generator is not None and state["generator"] is None:
        raise ValueError(f"{path} has no state of a generator")
    if optimizer is not None:
        groups = state["optimizer"]["param_groups"]
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in optimizer.param_groups]:
            raise ValueError(f"{path} is of another optimizer")


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    state = _read(path)
    _check(path, model, optimizer, generator, state)
    model.load_state_dict(state["model"])
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer"])
    if generator is not None:
        generator.set_state(state["generator"])
    _set_rng_states(state["rng"])
    return state["step"]


# %% header-instead-of-the-first-row
# idiom = "CS336 students"
# slips = []
# wrong = "The first call writes the header and returns, so the first row is lost."
class CSVLogger:
    def log(self, step, **metrics):
        if self.columns is None:
            self.columns = ["step", *metrics]
            _append(self.path, [",".join(self.columns)])
            return
        row = _row(self.columns, step, metrics).values()
        _append(self.path, [",".join("" if cell is None else str(cell) for cell in row)])


# %% file-taken-for-granted
# idiom = "rasbt"
# slips = []
# wrong = "The folder is made, but the file is read whether it is there or not."
import csv


class CSVLogger:
    def __init__(self, path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, newline="") as f:
            self.columns = next(csv.reader(f), None)


# %% right-asdict-in-the-checkpoint
# idiom = "Hugging Face"
def _rng_states():
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_rng_states(states):
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


def _write_whole(state, path):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    from dataclasses import asdict

    state = {
        "step": step,
        "config": asdict(config),
        "model": dict(model.state_dict()),
        "optimizer": optimizer.state_dict(),
        "generator": None if generator is None else generator.get_state(),
        "rng": _rng_states(),
    }
    _write_whole(state, path)


# %% down-to-the-millisecond
# idiom = "Hugging Face"
# slips = ["run-id-to-the-millisecond"]
# wrong = "The time ends with the milliseconds."
def make_run_id(config, now):
    now = now.replace(tzinfo=UTC) if now.tzinfo is None else now.astimezone(UTC)
    stamp = now.replace(tzinfo=None).isoformat(timespec="milliseconds")
    stamp = stamp.replace(":", "-").replace(".", "-")
    slug = re.sub(r"[^a-zA-Z0-9-]", "_", config.name)[:32]
    blob = json.dumps(config.as_dict(), sort_keys=True).encode()
    return f"{stamp}_{slug}_{hashlib.blake2b(blob, digest_size=6).hexdigest()}"


# %% cut-at-the-end
# idiom = "CS336 students"
# slips = ["run-id-cut-at-the-end"]
# wrong = "The whole is cut to 100 characters, so that a long name leaves nothing of the digest."
def make_run_id(config, now):
    if now.tzinfo is not None:
        now = now.astimezone(UTC)
    digest = hashlib.sha256(repr(config).encode()).hexdigest()[:12]
    run_id = "-".join(
        [now.strftime("%Y%m%d"), now.strftime("%H%M%S"), f"{now.microsecond:06d}", config.name, digest]
    )
    return re.sub(r"[^A-Za-z0-9_-]", "_", run_id)[:100]


# %% zone-relabelled
# idiom = "Stack Overflow"
# slips = ["run-id-in-local-time"]
# wrong = "replace(tzinfo=UTC) calls the local time UTC and converts nothing."
def make_run_id(config, now):
    now = now.replace(tzinfo=UTC)
    safe = "".join(ch if ch.isascii() and ch.isalnum() else "-" for ch in config.name)
    digest = hashlib.md5(json.dumps(config.as_dict(), sort_keys=True).encode()).hexdigest()
    return f"{now:%Y-%m-%d-%H-%M-%S-%f}-{safe[:40]}-{digest[:8]}"


# %% zero-for-what-is-missing
# idiom = "d2l"
# slips = ["missing-cell-as-zero"]
# wrong = "A metric that a row does not have is written as 0, as if it had been measured."
class CSVLogger:
    def log(self, step, **metrics):
        metrics = {k: v for k, v in metrics.items()}
        header = self.columns or ["step", *metrics]
        if not set(metrics) <= set(header):
            raise ValueError(f"new columns: {set(metrics) - set(header)}")
        with self.path.open("a") as f:
            if not self.columns:
                print(*header, sep=",", file=f)
            cells = [metrics.get(k, 0) for k in header[1:]]
            print(step, *("" if c is None else c for c in cells), sep=",", file=f)
        self.columns = header


# %% columns-in-alphabetical-order
# idiom = "CS336 students"
# slips = ["columns-of-the-table-sorted"]
# wrong = "The columns are sorted, not in the order given."
import csv


class CSVLogger:
    def log(self, step, **metrics):
        row = dict(step=step, **metrics)
        first = self.columns is None
        if first:
            self.columns = ["step"] + sorted(metrics)
        with open(self.path, "a", newline="") as f:
            writer = csv.DictWriter(f, fieldnames=self.columns, lineterminator="\n")
            if first:
                writer.writeheader()
            writer.writerow(row)


# %% as-many-rows-as-steps
# idiom = "one-liners"
# slips = ["as-many-rows-as-steps"]
# wrong = "It keeps as many rows as the step says, which fits only if every step was logged."
class CSVLogger:
    def rewind(self, step):
        if self.path.exists():
            lines = self.path.read_text().splitlines(keepends=True)
            self.path.write_text("".join(lines[: 1 + step]))


# %% objects-made-readable
# idiom = "rasbt"
# slips = ["objects-over-several-lines"]
# wrong = "indent=2 spreads an object over several lines."
class JSONLLogger:
    def log(self, step, **metrics):
        columns = self.columns if self.columns is not None else ["step", *metrics]
        for key in metrics:
            if key not in columns:
                raise ValueError(f"{key!r} is no column")
        record = {"step": step} | {key: metrics.get(key) for key in columns if key != "step"}
        with open(self.path, "a", encoding="utf-8") as f:
            json.dump(record, f, indent=2)
            f.write("\n")
        self.columns = columns


# %% strict-json
# idiom = "W&B clones"
# slips = ["nan-refused"]
# wrong = "allow_nan=False refuses the loss of a run that diverges."
class JSONLLogger:
    def log(self, step, **metrics):
        columns = self.columns or ["step", *metrics]
        if stray := next((name for name in metrics if name not in columns), None):
            raise ValueError(f"{stray} was not in the first row")
        row = dict.fromkeys(columns) | {"step": step} | metrics
        line = json.dumps(row, allow_nan=False)
        with open(self.path, "a") as file:
            file.write(line + "\n")
        self.columns = columns


# %% handed-to-the-system
# idiom = "labml"
# slips = ["left-to-the-system"]
# wrong = "Nothing asks the system to put the file on the disk before it takes the old one's place."
def save_checkpoint(path, *, model, optimizer, step, config, generator):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.with_suffix(".tmp")
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "config": config.as_dict(),
        "generator": generator.get_state() if generator else None,
        "rng": _global_states(),
    }
    try:
        torch.save(state, tmp)
        tmp.replace(path)
    finally:
        tmp.unlink(missing_ok=True)


# %% old-one-removed-first
# idiom = "CS336 students"
# slips = ["old-one-removed-first"]
# wrong = "The old checkpoint is removed before the new one has its name: between the two there is none."
def save_checkpoint(path, *, model, optimizer, step, config, generator):
    path = Path(path)
    os.makedirs(path.parent, exist_ok=True)
    new = Path(str(path) + ".new")
    checkpoint = dict(model=model.state_dict(), optimizer=optimizer.state_dict(), step=step)
    checkpoint["config"] = config.as_dict()
    checkpoint["generator"] = None if generator is None else generator.get_state()
    checkpoint["rng"] = _global_states()
    try:
        with new.open("wb") as f:
            torch.save(checkpoint, f)
            f.flush()
            os.fsync(f.fileno())
        if path.exists():
            path.unlink()
        new.rename(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


# %% parameters-assigned
# idiom = "torchtune"
# slips = ["parameters-assigned"]
# wrong = "assign=True puts new parameters into the model, so the optimizer goes on with the old ones."
def load_checkpoint(path, *, model, optimizer=None, generator=None):
    with open(path, "rb") as f:
        try:
            if zipfile.ZipFile(f).testzip() is not None:
                raise ValueError("bad checksum")
            f.seek(0)
            ckpt = torch.load(f, map_location="cpu", weights_only=True)
            weights, opt, gen, rng, step = (
                ckpt[k] for k in ("model", "optimizer", "generator", "rng", "step")
            )
            ours = {k: (v.shape, v.dtype) for k, v in model.state_dict().items()}
            same = ours == {k: (v.shape, v.dtype) for k, v in weights.items()}
        except Exception as e:
            raise ValueError(f"cannot read {path}") from e
    if not same:
        raise ValueError(f"{path} belongs to another model")
    if generator is not None and gen is None:
        raise ValueError(f"{path} holds no generator")
    if optimizer is not None:
        try:
            optimizer.load_state_dict(opt)
        except ValueError as e:
            raise ValueError(f"{path}: {e}") from e
    model.load_state_dict(weights, assign=True)
    if generator is not None:
        generator.set_state(gen)
    _set_global_states(rng)
    return step


# %% missing-is-damaged
# idiom = "CS336 students"
# slips = ["missing-file-taken-for-damage"]
# wrong = "What is not there is reported as damaged: the try holds the opening of the file too."
def load_checkpoint(path, *, model, optimizer=None, generator=None):
    try:
        state = read(path)
        here, there = _kinds(model.state_dict()), _kinds(state["model"])
        groups = [len(g["params"]) for g in state["optimizer"]["param_groups"]]
        step, rng, gen = state["step"], state["rng"], state["generator"]
    except Exception as error:
        raise ValueError(f"{path} is not a valid checkpoint: {error}") from error
    if here != there:
        raise ValueError(f"{path} has another architecture")
    if optimizer is not None and groups != [len(g["params"]) for g in optimizer.param_groups]:
        raise ValueError(f"{path} has other parameter groups")
    if generator is not None:
        if gen is None:
            raise ValueError(f"{path} has no generator state")
        generator.set_state(gen)
    model.load_state_dict(state["model"])
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer"])
    _set_global_states(rng)
    return step


def read(path):
    with zipfile.ZipFile(path) as archive:
        if archive.testzip():
            raise ValueError("checksum")
    return torch.load(path, map_location="cpu", weights_only=True)


# %% checksums-left-alone
# idiom = "nanoGPT"
# slips = ["checksums-not-compared"]
# wrong = "torch.load compares no checksums, so a flipped byte in a weight is loaded."
def load_checkpoint(path, *, model, optimizer=None, generator=None):
    with open(path, "rb") as f:
        try:
            checkpoint = torch.load(f, map_location="cpu", weights_only=True)
            for key in ("model", "optimizer", "generator", "rng", "step"):
                checkpoint[key]
            mine, theirs = _kinds(model.state_dict()), _kinds(checkpoint["model"])
        except Exception as exc:
            raise ValueError(f"{path} is no checkpoint") from exc
    if mine != theirs:
        raise ValueError(f"{path} does not fit the model")
    if generator is not None and checkpoint["generator"] is None:
        raise ValueError(f"{path} has no state for the generator")
    if optimizer is not None:
        try:
            optimizer.load_state_dict(checkpoint["optimizer"])
        except ValueError as exc:
            raise ValueError(f"{path} does not fit the optimizer") from exc
    model.load_state_dict(checkpoint["model"])
    if generator is not None:
        generator.set_state(checkpoint["generator"])
    _set_global_states(checkpoint["rng"])
    return checkpoint["step"]


# %% right-with-a-dict-writer
# idiom = "csv module"
import csv


def open_log(path):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    text = path.read_text()
    if text and not text.endswith("\n"):
        path.write_text(text[: text.rfind("\n") + 1])
    return path, path.read_text().splitlines()


class CSVLogger:
    def __init__(self, path):
        self.path, lines = open_log(path)
        self.fields = lines[0].split(",") if lines else None

    def log(self, step, **metrics):
        fields = self.fields or ["step", *metrics]
        for name in metrics:
            if name not in fields:
                raise ValueError(f"metric {name!r} has no column")
        with open(self.path, "a", newline="") as f:
            writer = csv.DictWriter(f, fields)
            if self.fields is None:
                writer.writeheader()
            writer.writerow({"step": step, **metrics})
        self.fields = fields

    def rewind(self, step):
        if self.path.exists() and self.fields:
            with open(self.path, newline="") as f:
                rows = [row for row in csv.DictReader(f) if int(row["step"]) <= step]
            with open(self.path, "w", newline="") as f:
                writer = csv.DictWriter(f, self.fields)
                writer.writeheader()
                writer.writerows(rows)


# %% right-numpy-state-as-a-tensor
# idiom = "PyTorch Lightning"
import tempfile


def _global_states():
    kind, keys, pos, has_gauss, cached = np.random.get_state()
    numpy_state = [kind, torch.from_numpy(keys.astype("int64")), pos, has_gauss, cached]
    return {
        "python": list(random.getstate()),
        "numpy": numpy_state,
        "torch": torch.random.get_rng_state(),
        "devices": accelerator_states(),
    }


def _set_global_states(states):
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype("uint32"), *rest))
    torch.random.set_rng_state(states["torch"])
    set_accelerator_states(states["devices"])


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    folder, name = os.path.split(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=name, dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(
                {
                    "rng": _global_states(),
                    "step": int(step),
                    "config": config.as_dict(),
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "generator": generator and generator.get_state(),
                },
                file,
            )
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.remove(temporary)
        raise


# %% pythons-salted-hash
# idiom = "StackOverflow"
# slips = ["run-id-by-hash"]
# wrong = "The digest is Python's hash of a text, which is salted anew in every process, so equal configurations get different names."
def make_run_id(config, now):
    utc = now.astimezone(UTC) if now.tzinfo is not None else now
    tag = hash(json.dumps(config.as_dict(), sort_keys=True)) % (1 << 64)
    slug = re.sub("[^0-9A-Za-z_-]+", "-", config.name)[:40]
    return "_".join([utc.strftime("%Y%m%d-%H%M%S-%f"), slug, format(tag, "016x")])


# %% digest-cut-off-with-the-name
# idiom = "LLM-written"
# slips = ["run-id-cut-at-the-end"]
# wrong = "The whole result is cut to 100 characters, digest last, so configurations with a long name lose the digest and get equal names."
import string


def make_run_id(config, now):
    if now.tzinfo is None:
        now = now.replace(tzinfo=UTC)
    timestamp = f"{now.astimezone(UTC):%Y%m%dT%H%M%S%f}"
    allowed = set(string.ascii_letters + string.digits + "-_")
    safe_name = "".join(ch if ch in allowed else "_" for ch in config.name)
    payload = json.dumps(config.as_dict(), sort_keys=True).encode("utf-8")
    digest = hashlib.sha256(payload).hexdigest()[:16]
    return f"{timestamp}-{safe_name}-{digest}"[:100]


# %% isoformat-without-its-zeros
# idiom = "CS336 students"
# slips = []
# wrong = "isoformat leaves the microseconds out when they are zero, so the full second is sorted after all that follows within it."
def make_run_id(config, now):
    moment = now.replace(tzinfo=now.tzinfo or UTC).astimezone(UTC).replace(tzinfo=None)
    when = moment.isoformat().translate({ord(c): None for c in "-:."})
    h = hashlib.blake2b(json.dumps(config.as_dict(), sort_keys=True).encode(), digest_size=10)
    label = re.sub(r"[^a-zA-Z0-9]", "", config.name)[:30]
    return f"{when}_{label}_{h.hexdigest()}"


# %% zero-is-an-empty-cell
# idiom = "StackOverflow"
# slips = []
# wrong = "A cell is written as value or empty text, so a metric that is 0.0 becomes an empty cell."
import csv
import io


class CSVLogger:
    def __init__(self, path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.fieldnames = None
        if self.path.exists():
            raw = self.path.read_bytes()
            whole = raw[: raw.rfind(b"\n") + 1]
            if len(whole) != len(raw):
                self.path.write_bytes(whole)
            if whole:
                self.fieldnames = next(csv.reader(io.StringIO(whole.decode("utf-8"), newline="")))

    def log(self, step, **metrics):
        names = self.fieldnames or ["step", *metrics]
        for key in metrics:
            if key not in names:
                raise ValueError(f"metric {key!r} is not a column; the columns are {names}")
        buffer = io.StringIO(newline="")
        out = csv.writer(buffer, lineterminator="\n")
        if self.fieldnames is None:
            out.writerow(names)
        out.writerow([step] + [metrics.get(key) or "" for key in names[1:]])
        with open(self.path, "a", newline="", encoding="utf-8") as f:
            f.write(buffer.getvalue())
        self.fieldnames = names

    def rewind(self, step):
        if not self.path.exists():
            return
        with open(self.path, newline="", encoding="utf-8") as f:
            rows = list(csv.reader(f))
        kept = rows[:1] + [r for r in rows[1:] if int(r[0]) <= step]
        if len(kept) < len(rows):
            with open(self.path, "w", newline="", encoding="utf-8") as f:
                csv.writer(f, lineterminator="\n").writerows(kept)


# %% rewound-by-comparing-texts
# idiom = "LLM-written"
# slips = ["steps-compared-as-text"]
# wrong = "rewind compares the steps as texts, so that 9 counts as later than 10 and 100 as earlier than 20."
import csv


class CSVLogger:
    def __init__(self, path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        self.path = os.fspath(path)
        self.header = []
        if os.path.isfile(self.path):
            with open(self.path, "rb+") as f:
                data = f.read()
                end = data.rfind(b"\n") + 1
                f.truncate(end)
            if end:
                with open(self.path, newline="", encoding="utf-8") as f:
                    self.header = csv.DictReader(f).fieldnames

    def log(self, step, **metrics):
        header = self.header if self.header else ["step"] + list(metrics)
        unknown = [m for m in metrics if m not in header]
        if unknown:
            raise ValueError(f"unknown metric {unknown[0]!r}")
        record = {"step": step}
        for name, value in metrics.items():
            record[name] = "" if value is None else repr(float(value))
        with open(self.path, "a", newline="", encoding="utf-8") as f:
            writer = csv.DictWriter(f, header, restval="", lineterminator="\n")
            if not self.header:
                writer.writeheader()
            writer.writerow(record)
        self.header = header

    def rewind(self, step):
        if not os.path.isfile(self.path) or not self.header:
            return
        with open(self.path, newline="", encoding="utf-8") as f:
            rows = [row for row in csv.DictReader(f) if row["step"] <= str(step)]
        with open(self.path, "w", newline="", encoding="utf-8") as f:
            writer = csv.DictWriter(f, self.header, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


# %% open-file-never-flushed
# idiom = "CS336 students"
# slips = ["object-in-the-buffer", "row-in-the-buffer", "row-of-the-table-in-the-buffer"]
# wrong = "The file stays open and is never flushed, so rows wait in the buffer after log returns and are lost if the process is killed."
import csv


class CSVLogger:
    def __init__(self, path):
        self.file_path = Path(path)
        self.file_path.parent.mkdir(exist_ok=True, parents=True)
        lines = []
        if self.file_path.exists():
            content = self.file_path.read_text(encoding="utf-8")
            lines = content.splitlines(keepends=True)
            if lines and not lines[-1].endswith("\n"):
                lines.pop()
                self.file_path.write_text("".join(lines), encoding="utf-8")
        self.cols = next(csv.reader(lines[:1])) if lines else None
        self._open()

    def _open(self):
        self.fh = self.file_path.open("a", encoding="utf-8", newline="")
        self.writer = csv.writer(self.fh, lineterminator="\n")

    def log(self, step, **metrics):
        if self.cols is not None:
            for m in metrics:
                if m not in self.cols:
                    raise ValueError(f"no column for metric {m}")
        else:
            self.cols = ["step"] + list(metrics.keys())
            self.writer.writerow(self.cols)
        cells = (metrics.get(c) for c in self.cols[1:])
        self.writer.writerow([step, *("" if v is None else float(v) for v in cells)])

    def rewind(self, step):
        if not self.file_path.exists():
            return
        self.fh.close()
        with self.file_path.open(encoding="utf-8", newline="") as f:
            head, *body = f.readlines() or [""]
        body = [ln for ln in body if int(ln.partition(",")[0]) <= step]
        with self.file_path.open("w", encoding="utf-8", newline="") as f:
            f.writelines([head] + body)
        self._open()


# %% columns-forgotten-on-reopening
# idiom = "LLM-written"
# slips = ["columns-forgotten", "columns-of-the-table-forgotten"]
# wrong = "A logger that goes on with a file does not read its columns, so the next row fixes new ones and a new metric is accepted."
class JSONLLogger:
    def __init__(self, path):
        self._path = Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._columns = None
        self._drop_partial_line()

    def _drop_partial_line(self):
        if not self._path.is_file():
            return
        data = self._path.read_bytes()
        if data and not data.endswith(b"\n"):
            complete, _, _ = data.rpartition(b"\n")
            self._path.write_bytes(complete + b"\n" if complete else b"")

    def log(self, step, **metrics):
        if self._columns is None:
            self._columns = tuple(metrics)
        extra = set(metrics).difference(self._columns)
        if extra:
            raise ValueError(f"Unexpected metric: {extra.pop()}")
        record = dict.fromkeys(("step", *self._columns))
        record.update(metrics, step=step)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")

    def rewind(self, step):
        if not self._path.is_file():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        keep = [line for line in lines if json.loads(line)["step"] <= step]
        if keep != lines:
            self._path.write_text("".join(keep), encoding="utf-8")


# %% nan-made-null
# idiom = "labml"
# slips = ["nan-as-null"]
# wrong = "Numbers that are not finite are written as null because JSON has no word for them, so a NaN loss reads as a metric that was not there."
import math


def _clean(value):
    return value if value is not None and math.isfinite(value) else None


class JSONLLogger:
    def __init__(self, path):
        self.path = Path(path)
        os.makedirs(self.path.parent, exist_ok=True)
        self.keys = None
        if self.path.exists():
            with self.path.open("rb+") as f:
                blob = f.read()
                cut = blob.rfind(b"\n") + 1
                f.seek(cut)
                f.truncate()
            if cut:
                first = json.loads(blob[: blob.index(b"\n")])
                self.keys = [k for k in first if k != "step"]

    def log(self, step, **metrics):
        keys = list(metrics) if self.keys is None else self.keys
        for k in metrics:
            if k not in keys:
                raise ValueError(f"{k!r} is none of the columns {keys!r}")
        row = {"step": step} | {k: _clean(metrics.get(k)) for k in keys}
        with open(self.path, "a", encoding="utf-8") as f:
            print(json.dumps(row), file=f)
        self.keys = keys

    def rewind(self, step):
        if self.path.exists():
            old = self.path.read_bytes().split(b"\n")[:-1]
            new = [ln for ln in old if json.loads(ln)["step"] <= step]
            self.path.write_bytes(b"".join(ln + b"\n" for ln in new))


# %% saved-straight-onto-the-old-one
# idiom = "nanoGPT"
# slips = ["checkpoint-written-in-place"]
# wrong = "torch.save writes to the final path itself, so a failure in the middle of it has destroyed the old checkpoint."
def save_checkpoint(path, *, model, optimizer, step, config, generator):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    kind, keys, pos, has_gauss, cached = np.random.get_state()
    checkpoint = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "iter_num": int(step),
        "config": config.as_dict(),
        "generator": generator.get_state() if generator is not None else None,
        "py_rng": random.getstate(),
        "np_rng": [str(kind), keys.tolist(), int(pos), int(has_gauss), float(cached)],
        "torch_rng": torch.get_rng_state(),
        "device_rng": accelerator_states(),
    }
    torch.save(checkpoint, path)


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    if not os.path.exists(path):
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                raise ValueError("checksum mismatch")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        weights, iter_num = checkpoint["model"], checkpoint["iter_num"]
        opt_state, gen_state = checkpoint["optimizer"], checkpoint["generator"]
        py, npy, th, dev = (checkpoint[k] for k in ("py_rng", "np_rng", "torch_rng", "device_rng"))
    except Exception as e:
        raise ValueError(f"{path} is not a usable checkpoint: {e}") from e

    def layout(sd):
        return {k: (tuple(v.shape), v.dtype) for k, v in sd.items()}

    if layout(weights) != layout(model.state_dict()):
        raise ValueError(f"{path} does not fit the model")
    if optimizer is not None:
        sizes = [[len(g["params"]) for g in sd["param_groups"]] for sd in (opt_state, optimizer.state_dict())]
        if sizes[0] != sizes[1]:
            raise ValueError(f"{path} does not fit the optimizer")
    if generator is not None and gen_state is None:
        raise ValueError(f"{path} has no generator state")

    model.load_state_dict(weights)
    if optimizer is not None:
        optimizer.load_state_dict(opt_state)
    if generator is not None:
        generator.set_state(gen_state)
    random.setstate(py)
    np.random.set_state((npy[0], np.array(npy[1], dtype=np.uint32), *npy[2:]))
    torch.set_rng_state(th)
    set_accelerator_states(dev)
    return iter_num


# %% model-overwritten-before-the-mismatch
# idiom = "LLM-written"
# slips = []
# wrong = "It loads first and turns what load_state_dict complains of into ValueError: by then part of the model is overwritten, and another dtype is never noticed."
import tempfile


def _rng_snapshot():
    name, words, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (
            str(name),
            torch.from_numpy(words.astype(np.int64)),
            int(rest[0]),
            int(rest[1]),
            float(rest[2]),
        ),
        "torch": torch.random.get_rng_state(),
        "accelerators": accelerator_states(),
    }


def _rng_restore(snapshot):
    random.setstate(snapshot["python"])
    name, words, *rest = snapshot["numpy"]
    np.random.set_state((name, words.numpy().astype(np.uint32), *rest))
    torch.random.set_rng_state(snapshot["torch"])
    set_accelerator_states(snapshot["accelerators"])


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    state = dict(
        model_state_dict=model.state_dict(),
        optimizer_state_dict=optimizer.state_dict(),
        step=step,
        config=config.as_dict(),
        generator=None if generator is None else generator.get_state(),
        rng=_rng_snapshot(),
    )
    fd, temporary = tempfile.mkstemp(dir=target.parent, suffix=".tmp")
    try:
        with os.fdopen(fd, "wb") as handle:
            torch.save(state, handle)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    source = Path(path)
    if not source.exists():
        raise FileNotFoundError(f"Checkpoint not found: {source}")
    try:
        with zipfile.ZipFile(source) as z:
            if z.testzip():
                raise ValueError("bad checksum")
        state = torch.load(source, map_location="cpu", weights_only=True)
        step = state["step"]
        model.load_state_dict(state["model_state_dict"], strict=True)
        if optimizer is not None:
            optimizer.load_state_dict(state["optimizer_state_dict"])
        if generator is not None:
            if state["generator"] is None:
                raise ValueError("no generator state in the file")
            generator.set_state(state["generator"])
        _rng_restore(state["rng"])
    except Exception as exc:
        raise ValueError(f"Could not load checkpoint {source}: {exc}") from exc
    return step


# %% generator-started-over-from-its-seed
# idiom = "CS336 students"
# slips = ["seed-instead-of-state", "seed-of-the-generator-saved", "seed-of-torch-saved"]
# wrong = "Of the generator only the seed is kept and set again, so after a resume it draws the first batches once more instead of going on."
import copy


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    np_state = list(np.random.get_state())
    np_state[1] = [int(word) for word in np_state[1]]
    obj = {}
    obj["model"] = model.state_dict()
    obj["optim"] = optimizer.state_dict()
    obj["iteration"] = step
    obj["config"] = config.as_dict()
    obj["data_seed"] = None if generator is None else generator.initial_seed()
    obj["rng"] = [random.getstate(), np_state, torch.get_rng_state(), accelerator_states()]
    part = path.parent / (path.name + ".part")
    try:
        with part.open("wb") as f:
            torch.save(obj, f)
            f.flush()
            os.fsync(f.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        if zipfile.ZipFile(path).testzip() is not None:
            raise ValueError("damaged")
        obj = torch.load(path, map_location="cpu", weights_only=True)
        missing = {"model", "optim", "iteration", "config", "data_seed", "rng"} - obj.keys()
        if missing:
            raise ValueError(f"no {missing}")
    except Exception as err:
        raise ValueError(f"{path}: not a checkpoint ({err})") from err

    mine, theirs = model.state_dict(), obj["model"]
    fits = mine.keys() == theirs.keys() and all(
        mine[k].shape == theirs[k].shape and mine[k].dtype == theirs[k].dtype for k in mine
    )
    if not fits:
        raise ValueError(f"{path}: another model")
    if optimizer is not None:
        a = [len(group["params"]) for group in optimizer.param_groups]
        b = [len(group["params"]) for group in obj["optim"]["param_groups"]]
        if a != b:
            raise ValueError(f"{path}: another optimizer")
    if generator is not None:
        if obj["data_seed"] is None:
            raise ValueError(f"{path}: saved without a generator")
        generator.manual_seed(obj["data_seed"])
    model.load_state_dict(theirs)
    if optimizer is not None:
        optimizer.load_state_dict(copy.deepcopy(obj["optim"]))
    py, np_state, cpu, accelerators = obj["rng"]
    random.setstate(py)
    np_state[1] = np.asarray(np_state[1], dtype="uint32")
    np.random.set_state(tuple(np_state))
    torch.set_rng_state(cpu)
    set_accelerator_states(accelerators)
    return obj["iteration"]


# %% checksums-left-to-torch
# idiom = "minGPT"
# slips = []
# wrong = "Only torch.load judges the file, and it does not compare the checksums, so a checkpoint with flipped bits in its weights is loaded."
def _describe(state_dict):
    return sorted((name, tuple(t.size()), str(t.dtype)) for name, t in state_dict.items())


def save_checkpoint(path, *, model, optimizer, step, config, generator):
    final = os.path.abspath(path)
    os.makedirs(os.path.dirname(final), exist_ok=True)
    scratch = f"{final}.{os.getpid()}.tmp"
    np_name, np_key, np_pos, np_has, np_cached = np.random.get_state(legacy=True)
    ckpt = {
        "weights": model.state_dict(),
        "opt": optimizer.state_dict(),
        "step": step,
        "config": config.as_dict(),
        "gen": generator and generator.get_state(),
        "random": {
            "py": random.getstate(),
            "np": {
                "name": np_name,
                "key": np_key.tolist(),
                "pos": np_pos,
                "has": np_has,
                "cached": np_cached,
            },
            "cpu": torch.get_rng_state(),
            "acc": accelerator_states(),
        },
    }
    try:
        with open(scratch, "wb") as out:
            torch.save(ckpt, out)
            out.flush()
            os.fsync(out.fileno())
        os.replace(scratch, final)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def load_checkpoint(path, *, model, optimizer=None, generator=None):
    if not Path(path).exists():
        raise FileNotFoundError(str(path))
    try:
        ckpt = torch.load(path, map_location=torch.device("cpu"), weights_only=True)
        weights, opt, step, gen, rng = (ckpt[k] for k in ("weights", "opt", "step", "gen", "random"))
        same = _describe(weights) == _describe(model.state_dict())
    except Exception as e:
        raise ValueError(f"{path} cannot be read as a checkpoint") from e
    if not same:
        raise ValueError(f"{path} was saved from a different model")
    if optimizer is not None:
        saved_groups, own_groups = opt["param_groups"], optimizer.param_groups
        if [len(g["params"]) for g in saved_groups] != [len(g["params"]) for g in own_groups]:
            raise ValueError(f"{path} was saved with different parameter groups")
    if generator is not None and gen is None:
        raise ValueError(f"{path} was saved without a generator")
    model.load_state_dict(weights)
    optimizer is None or optimizer.load_state_dict(opt)
    generator is None or generator.set_state(gen)
    random.setstate(rng["py"])
    s = rng["np"]
    np.random.set_state((s["name"], np.array(s["key"], np.uint32), s["pos"], s["has"], s["cached"]))
    torch.set_rng_state(rng["cpu"])
    set_accelerator_states(rng["acc"])
    return step
