# What runs logo-jax, on a CPU or, with --build-arg JAX='jax[cuda12]', on NVIDIA's GPUs.
# See docs/install.md.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim-bookworm AS wheel
WORKDIR /source
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY logo_jax logo_jax
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim-bookworm
ARG PYTHON
ARG JAX=jax
COPY requirements /requirements
COPY --from=wheel /wheels /wheels
# Versions are those of the lock file, which constrains and installs nothing by itself.
RUN pip install --no-cache-dir "${JAX}" "$(echo /wheels/*.whl)[smax,mamujoco]" \
  --constraint "/requirements/py${PYTHON%%.*}${PYTHON#*.}.lock"
RUN useradd --create-home --uid 1000 logo && install -d -o logo -g logo /work
# Caches where any user may write, even one given by `docker run --user`; no windows to
# draw robots in; of the GPU's driver, what computes.
ENV XDG_CACHE_HOME=/tmp/cache \
  MPLCONFIGDIR=/tmp/cache/matplotlib \
  MUJOCO_GL=disable \
  NVIDIA_VISIBLE_DEVICES=all \
  NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000
WORKDIR /work
ENTRYPOINT ["logo-jax"]
CMD ["help"]
