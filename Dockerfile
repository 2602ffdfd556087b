# docker build -t experiments .                     standalone: carries PostgreSQL, keeps its data in the volume /data
# docker build -t experiments --target service .    lean: for a server given by ConnectionStrings__Experiments

FROM mcr.microsoft.com/dotnet/sdk:10.0-noble AS build
WORKDIR /source
COPY global.json Directory.Build.props Directory.Packages.props .editorconfig ./
COPY Experiments.Api/Experiments.Api.csproj Experiments.Api/packages.lock.json Experiments.Api/
COPY .config .config
RUN dotnet restore Experiments.Api --locked-mode && dotnet tool restore
COPY migrations migrations
COPY Experiments.Api Experiments.Api
RUN dotnet publish Experiments.Api --configuration Release --no-restore --output /app -p:DebugType=none
# What is in it, as CycloneDX: docker run --rm --entrypoint cat experiments /app/sbom.json
RUN dotnet dotnet-CycloneDX Experiments.Api/Experiments.Api.csproj --disable-package-restore --output-format Json \
    --output /app --filename sbom.json

# No shell and no package manager; runs as the user that the base image names.
FROM mcr.microsoft.com/dotnet/aspnet:10.0-noble-chiseled AS service
WORKDIR /app
COPY --from=build /app .
ENV ASPNETCORE_HTTP_PORTS=8080 DOTNET_gcServer=0
EXPOSE 8080
USER $APP_UID
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["dotnet", "Experiments.Api.dll", "health"]
ENTRYPOINT ["dotnet", "Experiments.Api.dll"]

FROM mcr.microsoft.com/dotnet/aspnet:10.0-noble AS standalone
# Only the server's programs: its own first cluster would be of no use here.
RUN mkdir -p /etc/postgresql-common \
 && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o $APP_UID -m 700 /data
WORKDIR /app
COPY --from=build /app .
# The gate is open here: whoever starts this image on its own means to use it.
ENV ASPNETCORE_HTTP_PORTS=8080 DOTNET_gcServer=0 EXPERIMENTS_DATA=/data FeatureManagement__experimental_flags=true
EXPOSE 8080
USER $APP_UID
VOLUME /data
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["dotnet", "Experiments.Api.dll", "health"]
ENTRYPOINT ["dotnet", "Experiments.Api.dll"]
