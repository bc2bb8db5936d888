# For reading and measuring, from the lock:
#   docker build -t lth . && docker run -p 8000:8000 lth            the book at port 8000
#   docker run lth python -m lth_core status iclr-fig04 --published
FROM python:3.11-slim
RUN useradd --create-home reader
WORKDIR /lth
COPY requirements.lock pyproject.toml ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . ./
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . && chown -R reader /lth
USER reader
EXPOSE 8000
CMD ["sh", "-c", "python -m lth_core book && python -m http.server --directory _build/html"]
