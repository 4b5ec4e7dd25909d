# DetNAS in a container, for CPUs or CUDA. docs/install.md says how to build and run it.
#
#     docker build -t detnas .
#     docker build -t detnas:cuda --build-arg DEVICE=cuda .
FROM python:3.11-slim

# "cpu" takes torch's wheels for CPUs; "cuda" those of PyPI, which bring CUDA's libraries.
ARG DEVICE=cpu

ENV PYTHONUNBUFFERED=1 UV_NO_CACHE=1 UV_SYSTEM_PYTHON=1
RUN pip install --no-cache-dir uv

WORKDIR /opt/detnas
COPY constraints.txt overrides.txt ./
# In a layer of its own, so that a change of DetNAS does not download torch again.
RUN case "$DEVICE" in \
      cpu) index=https://download.pytorch.org/whl/cpu ;; \
      cuda) index=https://pypi.org/simple ;; \
      *) echo "DEVICE is '$DEVICE'; it may be cpu or cuda" >&2; exit 2 ;; \
    esac && \
    grep -E '^(torch|torchvision)==' constraints.txt > /tmp/torch.txt && \
    uv pip install --index "$index" --index-strategy unsafe-best-match \
      --requirement /tmp/torch.txt

COPY setup.py pyproject.toml README.md LICENSE ./
COPY search_space search_space
COPY configs configs
COPY detnas detnas
RUN uv pip install --constraint constraints.txt --override overrides.txt \
      '.[onedl,fast,report,pareto,tensorboard,deploy,demo]'

# Any user id may run it: caches and settings of matplotlib, torch and DetNAS go to /tmp.
ENV HOME=/tmp XDG_CACHE_HOME=/tmp/cache MPLCONFIGDIR=/tmp/matplotlib
RUN useradd --no-create-home --uid 1000 detnas && mkdir /work && chown detnas /work
USER detnas
WORKDIR /work
ENTRYPOINT ["detnas"]
CMD ["--help"]
