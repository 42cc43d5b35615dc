require "oncely"
require "rails/generators"

module Oncely
  module Generators
    # `rails generate oncely:task NAME "description"`: asks the program itself, so that there is one
    # template.
    class TaskGenerator < Rails::Generators::Base
      desc "Writes a release task that works as it is, and makes this folder a project of oncely."

      argument :task_name, type: :string, banner: "NAME"
      argument :description, type: :string, required: false, banner: "DESCRIPTION"
      # What went wrong is seen by the exit code too.
      def self.exit_on_failure?
        true
      end

      class_option :lang, type: :string, default: "rb", desc: "rb, toml, sh, py, js or sql"

      def write_task
        refuse_to_destroy if behavior == :revoke
        return if options[:pretend]

        Dir.chdir(destination_root) do
          ask_oncely("init") unless File.exist?("oncely.toml")
          ask_oncely("new", task_name, "--lang", options[:lang], *described)
        end
      end

      private

      def described
        description ? ["--description=#{description}"] : []
      end

      def ask_oncely(*words)
        return if system(Oncely.program, *words)

        raise Thor::Error, "oncely #{words.first} did not succeed; what it said stands above."
      end

      def refuse_to_destroy
        raise Thor::Error, "A task that has run anywhere is remembered there. Delete its file in tasks/ by hand."
      end
    end
  end
end
